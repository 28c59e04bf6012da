#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/sync_stream.h>

#include <chrono>
#include <functional>

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

}  // namespace narthex::ingester
