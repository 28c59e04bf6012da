#pragma once

#include <grpcpp/client_context.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/mutex.h"
#include "libs/cluster/internal/absences.h"

namespace narthex::cluster::internal {

/// Ends a call from another thread.
class Cancellation {
 public:
  const std::atomic<bool>* flag() const { return &cancelled_; }
  void Cancel() ABSL_LOCKS_EXCLUDED(mutex_) {
    base::MutexLock lock(mutex_);
    cancelled_ = true;
    if (context_ != nullptr) context_->TryCancel();
  }

  /// A gRPC call that is cancelled too while this lives.
  class Call {
   public:
    Call(Cancellation& owner, grpc::ClientContext& context) : owner_(owner) {
      base::MutexLock lock(owner_.mutex_);
      owner_.context_ = &context;
      if (owner_.cancelled_) context.TryCancel();
    }
    ~Call() {
      base::MutexLock lock(owner_.mutex_);
      owner_.context_ = nullptr;
    }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    Cancellation& owner_;
  };

 private:
  std::atomic<bool> cancelled_{false};
  base::Mutex mutex_;
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

/// Asks all ingesters at the same time, on a thread each, and returns the
/// answers there are as soon as `absences` does without the others, in the
/// order of the ingesters. Those that are silent then get a little longer. The
/// first error that it does not do without ends the other calls.
template <typename Answer>
absl::StatusOr<std::vector<Answer>> AskIngesters(
    const IngesterPeers& peers, Absences absences,
    const std::function<absl::StatusOr<Answer>(const IngesterPeer&,
                                               Cancellation&)>& ask) {
  std::vector<Answer> answers;
  if (peers.size() == 1) {
    // That needs no thread.
    Cancellation never;
    absl::StatusOr<Answer> answer = ask(*peers.front(), never);
    if (!answer.ok()) return answer.status();
    answers.push_back(*std::move(answer));
    return answers;
  }
  struct Lane {
    Cancellation cancellation;
    std::optional<absl::StatusOr<Answer>> answer;
    bool noted = false;
    std::thread thread;
  };
  struct Board {
    base::Mutex mutex;
    base::CondVar changed;
  };
  std::vector<std::unique_ptr<Lane>> lanes;
  Board board;
  for (const auto& peer : peers) {
    Lane& lane = *lanes.emplace_back(std::make_unique<Lane>());
    lane.thread = std::thread([&board, &lane, &ask, peer] {
      auto answer = ask(*peer, lane.cancellation);
      base::MutexLock lock(board.mutex);
      lane.answer = std::move(answer);
      board.changed.NotifyAll();
    });
  }
  absl::Status status;
  {
    std::optional<std::chrono::steady_clock::time_point> enough_since;
    base::MutexLock lock(board.mutex);
    while (status.ok()) {
      std::size_t silent = 0;
      std::chrono::milliseconds patience{0};
      for (std::size_t i = 0; i < lanes.size(); ++i) {
        Lane& lane = *lanes[i];
        if (!lane.answer.has_value()) {
          ++silent;
          patience = std::max(patience, Absences::PatienceWith(*peers[i]));
        } else if (!std::exchange(lane.noted, true)) {
          if (lane.answer->ok()) {
            absences.NoteAnswer(*peers[i]);
          } else {
            status.Update(absences.Note(*peers[i], lane.answer->status()));
          }
        }
      }
      if (silent == 0 || !status.ok()) break;
      if (silent <= absences.left()) {
        const auto now = std::chrono::steady_clock::now();
        if (!enough_since.has_value()) enough_since = now;
        if (now - *enough_since >= patience) break;
      }
      board.changed.WaitFor(board.mutex, std::chrono::milliseconds(20));
    }
    for (std::size_t i = 0; i < lanes.size() && status.ok(); ++i) {
      if (!lanes[i]->answer.has_value()) {
        status = absences.NoteSilent(*peers[i]);
      }
    }
  }
  for (const auto& lane : lanes) lane->cancellation.Cancel();
  for (const auto& lane : lanes) lane->thread.join();
  if (!status.ok()) return status;
  for (const auto& lane : lanes) {
    if (lane->answer->ok()) answers.push_back(**std::move(lane->answer));
  }
  return answers;
}

}  // namespace narthex::cluster::internal
