#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <thread>

#include "libs/base/mutex.h"

namespace narthex::service {

/// Notices clients that hang up while their query is evaluated. Thread-safe.
class HangupWatch {
 public:
  HangupWatch();
  ~HangupWatch();
  HangupWatch(const HangupWatch&) = delete;
  HangupWatch& operator=(const HangupWatch&) = delete;

 private:
  struct Watched {
    const std::function<bool()>* is_cancelled;
    std::atomic<bool> cancelled{false};
  };
  using List = std::list<Watched>;

 public:
  /// Watches one client for as long as it lives. `is_cancelled` outlives it
  /// and may be empty.
  class Scope {
   public:
    Scope(HangupWatch& watch, const std::function<bool()>& is_cancelled);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    /// Becomes true, and stays so, when the client has hung up.
    const std::atomic<bool>& cancelled() const { return entry_->cancelled; }
    /// As if the client had hung up. Thread-safe.
    void Cancel() { entry_->cancelled = true; }

   private:
    HangupWatch& watch_;
    List::iterator entry_;
  };

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);

  base::Mutex mutex_;
  base::CondVar changed_;
  List watched_ ABSL_GUARDED_BY(mutex_);
  bool sleeping_ ABSL_GUARDED_BY(mutex_) = false;  // Until the first entry.
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace narthex::service
