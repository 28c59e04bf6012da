#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "libs/base/clock.h"
#include "libs/base/mutex.h"

namespace narthex::alertmanager {

/// Runs functions one after the other on one thread, at once or at a time:
/// the one place where groups are flushed, notifications retried and answers
/// of receivers handled, so that none of these needs a thread of its own.
/// Post(), At() and Cancel() are thread-safe.
class EventLoop {
 public:
  using Function = std::function<void()>;
  /// Names a timer; zero is none.
  using TimerId = std::uint64_t;

  explicit EventLoop(base::Clock& clock) : clock_(clock) {}
  /// Stops.
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Runs what is due on a thread from now on. Tests that turn a FakeClock
  /// call RunDue() instead.
  void Start();
  /// Waits for the running function; what is left is dropped. Idempotent.
  void Stop();

  void Post(Function function) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Functions of one time run in the order in which they were added.
  TimerId At(std::int64_t time_ms, Function function)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// The function will not run, unless it already does.
  void Cancel(TimerId id) ABSL_LOCKS_EXCLUDED(mutex_);

  /// Runs everything posted and due; returns how many functions ran.
  int RunDue() ABSL_LOCKS_EXCLUDED(mutex_);

  base::Clock& clock() { return clock_; }

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);
  bool HasDue() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  base::Clock& clock_;
  base::Mutex mutex_;
  base::CondVar wake_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  TimerId last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<Function> posted_ ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<std::int64_t, TimerId>, Function> timers_
      ABSL_GUARDED_BY(mutex_);
  // Where in timers_ an id is.
  std::map<TimerId, std::int64_t> times_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace narthex::alertmanager
