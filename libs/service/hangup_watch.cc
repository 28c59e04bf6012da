#include "libs/service/hangup_watch.h"

#include <chrono>

namespace narthex::service {
namespace {

// Short queries end before the first look.
constexpr std::chrono::milliseconds kLookEvery{10};

}  // namespace

HangupWatch::HangupWatch() : thread_([this] { Run(); }) {}

HangupWatch::~HangupWatch() {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  thread_.join();
}

void HangupWatch::Run() {
  base::MutexLock lock(mutex_);
  while (!stopping_) {
    if (watched_.empty()) {
      sleeping_ = true;
      changed_.Wait(mutex_);
      sleeping_ = false;
      if (stopping_) return;
    }
    // Even if the query that woke it is over: the next one need not.
    changed_.WaitFor(mutex_, kLookEvery);
    for (Watched& entry : watched_) {
      if (!entry.cancelled && (*entry.is_cancelled)()) entry.cancelled = true;
    }
  }
}

HangupWatch::Scope::Scope(HangupWatch& watch,
                          const std::function<bool()>& is_cancelled)
    : watch_(watch) {
  base::MutexLock lock(watch_.mutex_);
  entry_ = watch_.watched_.emplace(watch_.watched_.begin());
  entry_->is_cancelled = &is_cancelled;
  // An empty function is a client that cannot be watched.
  if (is_cancelled == nullptr) {
    static const std::function<bool()> kNever = [] { return false; };
    entry_->is_cancelled = &kNever;
  }
  // A thread that is about to look anyway need not be woken for each query.
  if (watch_.sleeping_) watch_.changed_.NotifyAll();
}

HangupWatch::Scope::~Scope() {
  base::MutexLock lock(watch_.mutex_);
  watch_.watched_.erase(entry_);
}

}  // namespace narthex::service
