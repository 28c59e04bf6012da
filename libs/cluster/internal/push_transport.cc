#include "libs/cluster/internal/push_transport.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <utility>

#include "libs/cluster/internal/stream_call.h"
#include "libs/rpc/local_channel.h"
#include "libs/rpc/status.h"
#include "narthex/v1/ingester.grpc.pb.h"

namespace narthex::cluster::internal {
namespace {

class LocalPush final : public PushTransport {
 public:
  LocalPush(std::unique_ptr<rpc::LocalPipe> pipe, std::string address)
      : pipe_(std::move(pipe)), address_(std::move(address)) {}

  bool Write(const v1::PushRequest& request) override {
    return pipe_->Write(request);
  }
  bool Read(v1::PushResponse* response) override {
    return pipe_->Read(response);
  }
  void Cancel() override { pipe_->HangUp(); }
  absl::Status Finish() override { return WithPeer(pipe_->status(), address_); }

 private:
  const std::unique_ptr<rpc::LocalPipe> pipe_;
  const std::string address_;
};

class GrpcPush final : public PushTransport {
 public:
  GrpcPush(const std::shared_ptr<grpc::Channel>& channel, std::string address)
      : stub_(v1::Ingester::NewStub(channel)),
        calls_(stub_->Push(&context_)),
        address_(std::move(address)) {}

  bool Write(const v1::PushRequest& request) override {
    return calls_->Write(request);
  }
  bool Read(v1::PushResponse* response) override {
    return calls_->Read(response);
  }
  void Cancel() override { context_.TryCancel(); }
  absl::Status Finish() override {
    return rpc::FromGrpc(calls_->Finish(), address_);
  }

 private:
  const std::unique_ptr<v1::Ingester::Stub> stub_;
  grpc::ClientContext context_;
  const std::unique_ptr<
      grpc::ClientReaderWriter<v1::PushRequest, v1::PushResponse>>
      calls_;
  const std::string address_;
};

}  // namespace

std::unique_ptr<PushTransport> OpenLocalPush(rpc::LocalChannel& channel,
                                             const std::string& address) {
  auto pipe = channel.OpenPipe("Push");
  if (pipe == nullptr) return nullptr;
  return std::make_unique<LocalPush>(std::move(pipe), address);
}

std::unique_ptr<PushTransport> OpenGrpcPush(
    const std::shared_ptr<grpc::Channel>& channel, const std::string& address) {
  return std::make_unique<GrpcPush>(channel, address);
}

}  // namespace narthex::cluster::internal
