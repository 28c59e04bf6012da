#pragma once

#include <cstdint>

#include "libs/base/mutex.h"

namespace narthex::base {

/// The time, given to whatever needs it so that tests can turn it.
/// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;

  /// Milliseconds since the Unix epoch.
  virtual std::int64_t NowMs() const = 0;

  /// Nanoseconds of a clock that never goes back; only differences mean
  /// something.
  virtual std::int64_t MonotonicNs() const = 0;

  /// Waits on `cond` until it is notified or NowMs() reaches `deadline_ms`.
  /// May also return early; the caller loops over its own condition.
  virtual void WaitUntil(std::int64_t deadline_ms, CondVar& cond, Mutex& mutex)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) = 0;

  /// The machine's clock. It lives as long as the process.
  static Clock& System();
};

/// A clock that moves only when told to.
class FakeClock : public Clock {
 public:
  explicit FakeClock(std::int64_t now_ms) : now_ms_(now_ms) {}

  std::int64_t NowMs() const override ABSL_LOCKS_EXCLUDED(mutex_);
  std::int64_t MonotonicNs() const override ABSL_LOCKS_EXCLUDED(mutex_);
  /// Returns after a short real wait at the latest, so that a waiter sees
  /// Advance() without being notified.
  void WaitUntil(std::int64_t deadline_ms, CondVar& cond, Mutex& mutex) override
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  void Advance(std::int64_t ms) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  mutable Mutex mutex_;
  std::int64_t now_ms_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::base
