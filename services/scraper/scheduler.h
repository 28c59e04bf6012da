#pragma once

#include <memory>
#include <queue>
#include <thread>
#include <vector>

#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "services/scraper/scrape_loop.h"

namespace narthex::scraper {

/// Ticks all loops in time, from one thread. When the wall clock jumps, all
/// are planned anew by the new time: none waits for the old one.
class Scheduler {
 public:
  explicit Scheduler(base::Clock& clock);
  /// Stops.
  ~Scheduler();

  /// Ticks `loop` from its first tick until it is over or has another plan,
  /// with which it is to be added again.
  void Add(std::shared_ptr<ScrapeLoop> loop) ABSL_LOCKS_EXCLUDED(mutex_);
  /// No tick comes after this.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Due {
    std::int64_t at_ms = 0;
    std::shared_ptr<ScrapeLoop> loop;
    std::uint32_t plan = 0;
    friend bool operator<(const Due& a, const Due& b) {
      return a.at_ms > b.at_ms;  // The earliest on top.
    }
  };

  void Run() ABSL_LOCKS_EXCLUDED(mutex_);
  // Wall clock less monotonic clock.
  std::int64_t OffsetMs() const;
  void PlanAnewAfterJump() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  base::Clock& clock_;
  base::Mutex mutex_;
  base::CondVar changed_;
  std::priority_queue<Due> due_ ABSL_GUARDED_BY(mutex_);
  std::int64_t offset_ms_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace narthex::scraper
