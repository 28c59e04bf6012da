#include "libs/discovery/refresh_provider.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"

namespace narthex::discovery {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;

}  // namespace

RefreshProvider::RefreshProvider(Options options,
                                 const ProviderContext& context,
                                 Refresh refresh)
    : options_(std::move(options)),
      logger_(context.logger.With(
          {{"discovery", options_.mechanism}, {"config", context.job}})),
      metrics_(context.metrics.ForRefresh(options_.mechanism, context.job)),
      refresh_(std::move(refresh)),
      fetcher_(context.client, options_.client) {}

RefreshProvider::~RefreshProvider() { Stop(); }

void RefreshProvider::Start(Update update) {
  update_ = std::move(update);
  thread_ = std::thread([this] { Run(); });
}

void RefreshProvider::Stop() {
  if (!thread_.joinable()) return;
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  fetcher_.Cancel();
  thread_.join();
}

void RefreshProvider::Run() {
  pthread_setname_np(
      pthread_self(),
      absl::StrCat("sd-", options_.mechanism.substr(0, 12)).c_str());
  const std::int64_t interval_ns =
      std::max<std::int64_t>(options_.interval_ms, 1) * kNsPerMs;
  std::int64_t next = base::Clock::System().MonotonicNs();
  do {
    RefreshOnce();
    // Refreshes that take longer than the interval do not pile up.
    next = std::max(next + interval_ns, base::Clock::System().MonotonicNs());
  } while (WaitUntil(next));
}

bool RefreshProvider::WaitUntil(std::int64_t deadline_ns) {
  base::MutexLock lock(mutex_);
  for (;;) {
    const std::int64_t left = deadline_ns - base::Clock::System().MonotonicNs();
    if (stopping_ || left <= 0) return !stopping_;
    changed_.WaitFor(mutex_, std::chrono::milliseconds(left / kNsPerMs + 1));
  }
}

void RefreshProvider::RefreshOnce() {
  const std::int64_t start = base::Clock::System().MonotonicNs();
  auto groups = refresh_(fetcher_);
  const double seconds =
      static_cast<double>(base::Clock::System().MonotonicNs() - start) / 1e9;
  if (fetcher_.cancelled()) return;
  metrics_.duration.Observe(seconds);
  metrics_.duration_histogram.Observe(seconds);
  if (!groups.ok()) {
    metrics_.failures.Inc();
    logger_.Error("unable to refresh target groups, keeping those known",
                  {{"err", groups.status().message()}});
    return;
  }
  std::set<std::string> sources;
  for (const TargetGroup& group : *groups) sources.insert(group.source);
  for (const std::string& source : known_) {
    if (sources.contains(source)) continue;
    TargetGroup gone;
    gone.source = source;
    groups->push_back(std::move(gone));
  }
  known_ = std::move(sources);
  update_(*std::move(groups));
}

}  // namespace narthex::discovery
