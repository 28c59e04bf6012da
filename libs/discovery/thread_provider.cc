#include "libs/discovery/thread_provider.h"

#include <pthread.h>

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"

namespace narthex::discovery {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;

}  // namespace

ThreadProvider::ThreadProvider(std::string mechanism, http::Client& client,
                               std::shared_ptr<const http::ClientConfig> config)
    : mechanism_(std::move(mechanism)), fetcher_(client, std::move(config)) {}

void ThreadProvider::Start(Update update) {
  update_ = std::move(update);
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(),
                       absl::StrCat("sd-", mechanism_.substr(0, 12)).c_str());
    Run();
  });
}

void ThreadProvider::Stop() {
  if (!thread_.joinable()) return;
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  fetcher_.Cancel();
  thread_.join();
}

bool ThreadProvider::WaitUntil(std::int64_t deadline_ns) {
  base::MutexLock lock(mutex_);
  for (;;) {
    const std::int64_t left = deadline_ns - base::Clock::System().MonotonicNs();
    if (stopping_ || left <= 0) return !stopping_;
    changed_.WaitFor(mutex_, std::chrono::milliseconds(left / kNsPerMs + 1));
  }
}

}  // namespace narthex::discovery
