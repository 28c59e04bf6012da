#include "libs/discovery/refresh_provider.h"

#include <algorithm>
#include <utility>

#include "libs/base/clock.h"

namespace narthex::discovery {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;

}  // namespace

RefreshProvider::RefreshProvider(Options options,
                                 const ProviderContext& context,
                                 Refresh refresh)
    : ThreadProvider(options.mechanism, context.client,
                     std::move(options.client)),
      interval_ms_(options.interval_ms),
      logger_(context.logger.With(
          {{"discovery", options.mechanism}, {"config", context.job}})),
      metrics_(context.metrics.ForRefresh(options.mechanism, context.job)),
      refresh_(std::move(refresh)) {}

RefreshProvider::~RefreshProvider() { Stop(); }

void RefreshProvider::Run() {
  const std::int64_t interval_ns =
      std::max<std::int64_t>(interval_ms_, 1) * kNsPerMs;
  std::int64_t next = base::Clock::System().MonotonicNs();
  do {
    RefreshOnce();
    // Refreshes that take longer than the interval do not pile up.
    next = std::max(next + interval_ns, base::Clock::System().MonotonicNs());
  } while (WaitUntil(next));
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
