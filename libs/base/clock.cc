#include "libs/base/clock.h"

#include <algorithm>
#include <chrono>

namespace narthex::base {
namespace {

class SystemClock : public Clock {
 public:
  std::int64_t NowMs() const override {
    using std::chrono::duration_cast;
    return duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }

  std::int64_t MonotonicNs() const override {
    using std::chrono::duration_cast;
    return duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }

  void WaitUntil(std::int64_t deadline_ms, CondVar& cond, Mutex& mutex) override
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    // An hour at most per wait keeps far deadlines from overflowing the
    // library's arithmetic.
    const std::int64_t wait_ms =
        std::clamp<std::int64_t>(deadline_ms - NowMs(), 0, 3'600'000);
    cond.WaitFor(mutex, std::chrono::milliseconds(wait_ms));
  }
};

}  // namespace

Clock& Clock::System() {
  static SystemClock clock;
  return clock;
}

std::int64_t FakeClock::NowMs() const {
  MutexLock lock(mutex_);
  return now_ms_;
}

std::int64_t FakeClock::MonotonicNs() const {
  MutexLock lock(mutex_);
  return now_ms_ * 1'000'000;
}

void FakeClock::WaitUntil(std::int64_t deadline_ms, CondVar& cond,
                          Mutex& mutex) {
  if (NowMs() >= deadline_ms) return;
  cond.WaitFor(mutex, std::chrono::milliseconds(1));
}

void FakeClock::Advance(std::int64_t ms) {
  MutexLock lock(mutex_);
  now_ms_ += ms;
}

}  // namespace narthex::base
