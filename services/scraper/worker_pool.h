#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "libs/base/mutex.h"

namespace narthex::scraper {

/// Runs tasks on a fixed number of threads, first in, first out.
class WorkerPool {
 public:
  explicit WorkerPool(std::size_t threads);
  /// Runs what is queued, then stops.
  ~WorkerPool();

  void Submit(std::function<void()> task) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);

  base::Mutex mutex_;
  base::CondVar changed_;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace narthex::scraper
