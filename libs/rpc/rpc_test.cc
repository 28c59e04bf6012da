#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <catch2/catch.hpp>

#include "libs/rpc/channel.h"
#include "libs/rpc/server.h"
#include "libs/rpc/status.h"
#include "narthex/v1/querier.grpc.pb.h"

namespace narthex::rpc {
namespace {

class Refusing : public v1::Querier::Service {
  grpc::Status Query(grpc::ServerContext*, const v1::QueryRequest* request,
                     grpc::ServerWriter<v1::QueryResponse>*) override {
    return ToGrpc(absl::InvalidArgumentError("no: " + request->expression()));
  }
};

absl::Status Call(const std::string& address) {
  const auto stub = v1::Querier::NewStub(NewChannel(address));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::seconds(5));
  v1::QueryRequest request;
  request.set_expression("up");
  const auto reader = stub->Query(&context, request);
  v1::QueryResponse response;
  while (reader->Read(&response)) {
  }
  return FromGrpc(reader->Finish(), address);
}

}  // namespace

TEST_CASE("statuses keep code and message across a call") {
  Refusing service;
  auto server = Server::Start("127.0.0.1:0", {&service});
  REQUIRE(server.ok());
  const std::string address = "127.0.0.1:" + std::to_string((*server)->port());
  const absl::Status status = Call(address);
  CHECK(absl::IsInvalidArgument(status));
  CHECK(status.message() == address + ": no: up");
  (*server)->Stop(std::chrono::milliseconds(100));
  CHECK(absl::IsUnavailable(Call(address)));
}

TEST_CASE("a port in use is an error that names the address") {
  Refusing service;
  auto first = Server::Start("127.0.0.1:0", {&service});
  REQUIRE(first.ok());
  const std::string address = "127.0.0.1:" + std::to_string((*first)->port());
  Refusing other;
  const auto second = Server::Start(address, {&other});
  REQUIRE_FALSE(second.ok());
  CHECK(std::string(second.status().message()).find(address) !=
        std::string::npos);
}

}  // namespace narthex::rpc
