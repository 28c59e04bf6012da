#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "libs/base/mutex.h"
#include "libs/discovery/fetcher.h"
#include "libs/discovery/provider.h"

namespace narthex::discovery {

/// A provider with a thread of its own that asks over HTTP. What derives from
/// it calls Stop() in its destructor.
class ThreadProvider : public Provider {
 public:
  void Start(Update update) override;
  void Stop() override ABSL_LOCKS_EXCLUDED(mutex_);

 protected:
  /// At most 12 characters of `mechanism` name the thread.
  ThreadProvider(std::string mechanism, http::Client& client,
                 std::shared_ptr<const http::ClientConfig> config);

  /// Runs on the thread; returns soon after stopping_ is set, of which
  /// changed_ and the fetcher tell.
  virtual void Run() = 0;
  /// Waits until then, on base::Clock::MonotonicNs(). False when stopped.
  bool WaitUntil(std::int64_t deadline_ns) ABSL_LOCKS_EXCLUDED(mutex_);

  const std::string mechanism_;
  Fetcher fetcher_;
  Update update_;
  base::Mutex mutex_;
  base::CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

 private:
  std::thread thread_;
};

}  // namespace narthex::discovery
