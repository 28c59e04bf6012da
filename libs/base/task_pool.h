#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "libs/base/mutex.h"

namespace narthex::base {

/// A few threads that run what anybody posts, in the order of posting. They
/// begin with the first task. Thread-safe.
class TaskPool {
 public:
  /// `threads` 0: nothing may be posted.
  explicit TaskPool(std::size_t threads) : size_(threads) {}
  /// Waits for the tasks that have begun and drops the others.
  ~TaskPool();
  TaskPool(const TaskPool&) = delete;
  TaskPool& operator=(const TaskPool&) = delete;

  /// As many threads as can help one that works itself to fill the machine,
  /// but no more than `limit`.
  static std::size_t HelpersOfMachine(std::size_t limit);

  std::size_t size() const { return size_; }

  using Task = std::function<void()>;
  void Post(Task task) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Work() ABSL_LOCKS_EXCLUDED(mutex_);

  const std::size_t size_;
  Mutex mutex_;
  CondVar posted_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace narthex::base
