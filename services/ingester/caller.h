#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/sync_stream.h>

#include <chrono>
#include <cstddef>
#include <functional>

#include "absl/status/status.h"
#include "libs/rpc/local_server.h"

namespace narthex::ingester {

/// Who waits for the responses of a streaming method, whichever way the call
/// came.
template <typename Response>
struct Caller {
  /// One more response; `last` when none follows. False when nobody waits.
  std::function<bool(const Response& response, bool last)> send;
  /// Thread-safe.
  std::function<bool()> is_cancelled;
  std::chrono::system_clock::time_point deadline;

  static Caller Of(grpc::ServerContext* context,
                   grpc::ServerWriter<Response>* writer) {
    return {[writer](const Response& response, bool last) {
              if (!last) return writer->Write(response);
              writer->WriteLast(response, grpc::WriteOptions());
              return true;
            },
            [context] { return context->IsCancelled(); }, context->deadline()};
  }
  static Caller Of(rpc::LocalCall& call) {
    return {
        [&call](const Response& response, bool) { return call.Send(response); },
        [&call] { return call.IsCancelled(); }, call.deadline()};
  }
};

/// Responses of a moderate size out of many small things.
template <typename Response>
class Batch {
 public:
  explicit Batch(const Caller<Response>& caller) : caller_(caller) {}

  /// What is not sent yet.
  Response& response() { return response_; }
  /// So much was added to it. kCancelled when nobody waits any more.
  absl::Status Added(std::size_t bytes) {
    bytes_ += bytes;
    if (bytes_ < kBytes) return absl::OkStatus();
    bytes_ = 0;
    if (caller_.is_cancelled() || !caller_.send(response_, false)) {
      return absl::CancelledError("the querier hung up");
    }
    response_.Clear();
    return absl::OkStatus();
  }
  /// Sends the rest.
  void Finish() { caller_.send(response_, true); }

 private:
  static constexpr std::size_t kBytes = 512 << 10;

  const Caller<Response>& caller_;
  Response response_;
  std::size_t bytes_ = 0;
};

}  // namespace narthex::ingester
