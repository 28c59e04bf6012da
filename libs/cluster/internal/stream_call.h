#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/support/async_stream.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "libs/base/clock.h"
#include "libs/rpc/status.h"

namespace narthex::cluster::internal {

/// When a call to an ingester is given up.
struct CallLimits {
  std::chrono::system_clock::time_point deadline;
  /// The deadline is that of the query, not of the call.
  bool of_query = false;
  /// Set by another thread; may be null.
  const std::atomic<bool>* cancelled = nullptr;

  /// The earlier of `timeout` from now and `deadline_ns`, which is on
  /// base::Clock::MonotonicNs(), 0 for none.
  static CallLimits Of(std::chrono::milliseconds timeout,
                       std::int64_t deadline_ns,
                       const std::atomic<bool>* cancelled);
};

/// A server-streaming call whose reader can be cancelled while it waits. Used
/// by one thread at a time.
template <typename Response>
class StreamCall {
 public:
  using Reader = grpc::ClientAsyncReader<Response>;

  /// Starts at once; `start(context, queue)` begins the call with the tag
  /// that is the address of the context. Errors begin with `peer`.
  template <typename Start>
  StreamCall(std::string peer, const CallLimits& limits, const Start& start)
      : peer_(std::move(peer)),
        of_query_(limits.of_query),
        cancelled_(limits.cancelled) {
    context_.set_deadline(limits.deadline);
    reader_ = start(&context_, &queue_, static_cast<void*>(&context_));
  }

  ~StreamCall() {
    if (!finished_) {
      context_.TryCancel();
      Finish();
    }
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }
  StreamCall(const StreamCall&) = delete;
  StreamCall& operator=(const StreamCall&) = delete;

  /// False at the end; then status() says whether that was all.
  bool Read(Response* response) {
    if (finished_) return false;
    if (!started_) {
      started_ = true;
      if (!Wait()) {
        Finish();
        return false;
      }
    }
    reader_->Read(response, &context_);
    if (Wait()) return true;
    Finish();
    return false;
  }

  /// Ends the call early.
  void Cancel() {
    if (finished_) return;
    context_.TryCancel();
    Finish();
  }

  const std::string& peer() const { return peer_; }
  const absl::Status& status() const { return status_; }

 private:
  /// Waits for the operation under way and tells whether it went well.
  bool Wait() {
    for (;;) {
      void* tag = nullptr;
      bool ok = false;
      const auto look_at =
          std::chrono::system_clock::now() + std::chrono::milliseconds(20);
      switch (queue_.AsyncNext(&tag, &ok, look_at)) {
        case grpc::CompletionQueue::GOT_EVENT:
          return ok;
        case grpc::CompletionQueue::SHUTDOWN:
          return false;
        case grpc::CompletionQueue::TIMEOUT:
          if (cancelled_ != nullptr && cancelled_->load()) {
            context_.TryCancel();
          }
      }
    }
  }

  void Finish() {
    // What was begun before must end first.
    if (!started_) {
      started_ = true;
      Wait();
    }
    grpc::Status status;
    reader_->Finish(&status, &context_);
    Wait();
    finished_ = true;
    status_ = rpc::FromGrpc(status, peer_);
    if (cancelled_ != nullptr && cancelled_->load()) {
      status_ = absl::CancelledError("query was canceled");
    } else if (absl::IsDeadlineExceeded(status_)) {
      // A silent ingester is to a user as an unreachable one: the answer
      // would not be whole.
      status_ = of_query_ ? absl::DeadlineExceededError(
                                "query timed out waiting for "
                                "ingester " +
                                peer_)
                          : absl::UnavailableError(status_.message());
    }
  }

  const std::string peer_;
  const bool of_query_;
  const std::atomic<bool>* const cancelled_;
  grpc::CompletionQueue queue_;
  grpc::ClientContext context_;
  std::unique_ptr<Reader> reader_;
  bool started_ = false;
  bool finished_ = false;
  absl::Status status_;
};

}  // namespace narthex::cluster::internal
