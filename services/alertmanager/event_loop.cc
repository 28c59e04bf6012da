#include "services/alertmanager/event_loop.h"

#include <pthread.h>

namespace narthex::alertmanager {
namespace {

// With nothing to do the thread still looks up now and then, so that a clock
// that was set forward is noticed.
constexpr std::int64_t kLongestSleepMs = 1000;

}  // namespace

EventLoop::~EventLoop() { Stop(); }

void EventLoop::Start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "am-loop");
    Run();
  });
}

void EventLoop::Stop() {
  {
    base::MutexLock lock(mutex_);
    stopped_ = true;
  }
  wake_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

void EventLoop::Post(Function function) {
  {
    base::MutexLock lock(mutex_);
    posted_.push_back(std::move(function));
  }
  wake_.NotifyOne();
}

EventLoop::TimerId EventLoop::At(std::int64_t time_ms, Function function) {
  TimerId id = 0;
  bool is_first = false;
  {
    base::MutexLock lock(mutex_);
    id = ++last_id_;
    const auto it =
        timers_.emplace(std::make_pair(time_ms, id), std::move(function)).first;
    times_.emplace(id, time_ms);
    is_first = it == timers_.begin();
  }
  if (is_first) wake_.NotifyOne();
  return id;
}

void EventLoop::Cancel(TimerId id) {
  // Declared first: the function may own what must not die under the lock.
  Function dropped;
  base::MutexLock lock(mutex_);
  const auto time = times_.find(id);
  if (time == times_.end()) return;
  const auto it = timers_.find({time->second, id});
  dropped = std::move(it->second);
  timers_.erase(it);
  times_.erase(time);
}

bool EventLoop::HasDue() const {
  return !posted_.empty() ||
         (!timers_.empty() && timers_.begin()->first.first <= clock_.NowMs());
}

int EventLoop::RunDue() {
  int count = 0;
  while (true) {
    std::vector<Function> batch;
    {
      base::MutexLock lock(mutex_);
      if (stopped_ || !HasDue()) return count;
      batch.swap(posted_);
      // A timer at a time: one may cancel the next.
      if (batch.empty()) {
        const auto first = timers_.begin();
        times_.erase(first->first.second);
        batch.push_back(std::move(first->second));
        timers_.erase(first);
      }
    }
    for (Function& function : batch) function();
    count += static_cast<int>(batch.size());
  }
}

void EventLoop::Run() {
  while (true) {
    RunDue();
    base::MutexLock lock(mutex_);
    if (stopped_) return;
    if (HasDue()) continue;
    std::int64_t wake_at = clock_.NowMs() + kLongestSleepMs;
    if (!timers_.empty()) {
      wake_at = std::min(wake_at, timers_.begin()->first.first);
    }
    clock_.WaitUntil(wake_at, wake_, mutex_);
  }
}

}  // namespace narthex::alertmanager
