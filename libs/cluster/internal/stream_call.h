#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/support/async_stream.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/rpc/local_channel.h"
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

/// `status` with the name of who sent it before its message.
absl::Status WithPeer(const absl::Status& status, const std::string& peer);

/// An unreachable or silent ingester is the same to a user: the answer would
/// not be whole.
absl::Status AsUnavailable(const absl::Status& status);

/// The only response of a local call.
template <typename Response>
absl::Status TakeOne(rpc::LocalStream& stream, const std::string& peer,
                     Response* response) {
  const bool there = stream.Read(response);
  Response none;
  while (stream.Read(&none)) {
  }
  if (!there && stream.status().ok()) {
    return absl::InternalError(absl::StrCat(peer, ": no response"));
  }
  return AsUnavailable(WithPeer(stream.status(), peer));
}

/// What a call's status means to who asked: a silent ingester is to a user as
/// an unreachable one, since the answer would not be whole.
absl::Status OutcomeOf(const absl::Status& status, const std::string& peer,
                       const CallLimits& limits);

/// A server-streaming call whose reader can be cancelled while it waits. Used
/// by one thread at a time.
template <typename Response>
class StreamCall {
 public:
  using Reader = grpc::ClientAsyncReader<Response>;

  /// The call is `local` where the ingester is on this machine. Otherwise
  /// `start(context, queue, tag)` begins it, with a tag for its beginning.
  /// Errors begin with `peer`.
  template <typename Start>
  StreamCall(std::string peer, const CallLimits& limits,
             std::unique_ptr<rpc::LocalStream> local, const Start& start)
      : peer_(std::move(peer)), limits_(limits), local_(std::move(local)) {
    if (local_ != nullptr) return;
    remote_ = std::make_unique<Remote>();
    remote_->context.set_deadline(limits.deadline);
    remote_->reader = start(&remote_->context, &remote_->queue, remote_.get());
  }

  ~StreamCall() {
    if (remote_ == nullptr) return;
    Cancel();
    remote_->queue.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (remote_->queue.Next(&tag, &ok)) {
    }
  }
  StreamCall(const StreamCall&) = delete;
  StreamCall& operator=(const StreamCall&) = delete;

  /// False at the end; then status() says whether that was all.
  bool Read(Response* response) {
    if (finished_) return false;
    if (local_ != nullptr) {
      if (local_->Read(response)) return true;
      End(WithPeer(local_->status(), peer_));
      return false;
    }
    if (!started_) {
      started_ = true;
      if (!Wait()) {
        Finish();
        return false;
      }
    }
    remote_->reader->Read(response, remote_.get());
    if (Wait()) return true;
    Finish();
    return false;
  }

  /// Ends the call early.
  void Cancel() {
    if (finished_) return;
    if (local_ != nullptr) return End(absl::CancelledError("ended early"));
    remote_->context.TryCancel();
    Finish();
  }

  const std::string& peer() const { return peer_; }
  const absl::Status& status() const { return status_; }

 private:
  struct Remote {
    grpc::CompletionQueue queue;
    grpc::ClientContext context;
    std::unique_ptr<Reader> reader;
  };

  /// Waits for the operation under way and tells whether it went well.
  bool Wait() {
    for (;;) {
      void* tag = nullptr;
      bool ok = false;
      const auto look_at =
          std::chrono::system_clock::now() + std::chrono::milliseconds(20);
      switch (remote_->queue.AsyncNext(&tag, &ok, look_at)) {
        case grpc::CompletionQueue::GOT_EVENT:
          return ok;
        case grpc::CompletionQueue::SHUTDOWN:
          return false;
        case grpc::CompletionQueue::TIMEOUT:
          if (limits_.cancelled != nullptr && limits_.cancelled->load()) {
            remote_->context.TryCancel();
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
    remote_->reader->Finish(&status, remote_.get());
    Wait();
    End(rpc::FromGrpc(status, peer_));
  }

  void End(const absl::Status& status) {
    finished_ = true;
    local_.reset();
    status_ = OutcomeOf(status, peer_, limits_);
  }

  const std::string peer_;
  const CallLimits limits_;
  // One of the two.
  std::unique_ptr<rpc::LocalStream> local_;
  std::unique_ptr<Remote> remote_;
  bool started_ = false;
  bool finished_ = false;
  absl::Status status_;
};

}  // namespace narthex::cluster::internal
