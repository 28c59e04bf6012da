#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "libs/base/mutex.h"

namespace narthex::base {

/// Threads that share loops with the one that owns them. Only the owner calls
/// it.
class Workers {
 public:
  /// `threads` in all, the owner's among them; at least one.
  explicit Workers(std::size_t threads);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// How many there are.
  std::size_t count() const { return threads_.size() + 1; }

  /// Does one round of a loop. `worker` is below count(): two rounds at the
  /// same time have different ones.
  using Body = std::function<void(std::size_t i, std::size_t worker)>;

  /// Calls `body` for every `i` below `rounds`, in no order, by all threads at
  /// once. Returns when all calls have.
  void Run(std::size_t rounds, const Body& body) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Work(std::size_t worker) ABSL_LOCKS_EXCLUDED(mutex_);
  void TakeShare(std::size_t rounds, const Body& body, std::size_t worker);

  Mutex mutex_;
  CondVar begun_;
  CondVar ended_;
  std::uint64_t loop_ ABSL_GUARDED_BY(mutex_) = 0;
  const Body* body_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::size_t rounds_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t busy_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::atomic<std::size_t> next_{0};
  std::vector<std::thread> threads_;
};

}  // namespace narthex::base
