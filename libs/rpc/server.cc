#include "libs/rpc/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include "absl/strings/str_cat.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/lock_checks.h"

namespace narthex::rpc {

struct Server::Rep {
  std::unique_ptr<grpc::Server> server;
};

absl::StatusOr<std::unique_ptr<Server>> Server::Start(
    const std::string& address, const std::vector<grpc::Service*>& services) {
  SpareLockChecks();
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
  // Two processes on one port would share the calls and look like data loss.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(
      GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // Threads that come and go with each burst of calls cost more than a few
  // that wait.
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 8);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
  for (grpc::Service* service : services) builder.RegisterService(service);
  auto rep = std::make_unique<Rep>();
  rep->server = builder.BuildAndStart();
  if (!rep->server || port == 0) {
    return absl::UnavailableError(
        absl::StrCat("listen on ", address, ": address in use or not valid"));
  }
  std::unique_ptr<Server> server(new Server(std::move(rep)));
  server->port_ = port;
  return server;
}

Server::Server(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}

Server::~Server() { Stop(std::chrono::milliseconds(0)); }

void Server::SetServing(bool serving) {
  rep_->server->GetHealthCheckService()->SetServingStatus(serving);
}

void Server::Stop(std::chrono::milliseconds grace) {
  if (!rep_->server) return;
  rep_->server->Shutdown(std::chrono::system_clock::now() + grace);
  rep_->server->Wait();
  rep_->server.reset();
}

}  // namespace narthex::rpc
