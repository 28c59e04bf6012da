#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"

namespace grpc {
class Channel;
}  // namespace grpc
namespace narthex::rpc {
class LocalChannel;
}  // namespace narthex::rpc
namespace narthex::v1 {
class PushRequest;
class PushResponse;
}  // namespace narthex::v1

namespace narthex::cluster::internal {

/// What a stream of batches to an ingester goes over. One thread may write
/// while another reads.
class PushTransport {
 public:
  virtual ~PushTransport() = default;
  /// False when it has ended.
  virtual bool Write(const v1::PushRequest& request) = 0;
  /// Waits for the answer to the oldest unanswered request. False when it has
  /// ended.
  virtual bool Read(v1::PushResponse* response) = 0;
  /// Ends it early. Any thread.
  virtual void Cancel() = 0;
  /// Why it has ended, once no other thread uses it.
  virtual absl::Status Finish() = 0;
};

/// To an ingester of this machine; null when there is none to be reached.
std::unique_ptr<PushTransport> OpenLocalPush(rpc::LocalChannel& channel,
                                             const std::string& address);
/// The `Push` stream of the contract.
std::unique_ptr<PushTransport> OpenGrpcPush(
    const std::shared_ptr<grpc::Channel>& channel, const std::string& address);

}  // namespace narthex::cluster::internal
