#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/discovery/thread_provider.h"

namespace narthex::discovery {

/// Asks for all targets at once and again every interval, the base of all
/// mechanisms that cannot be watched. A refresh that fails is counted and
/// logged and leaves the targets as they are; a group that is missing from
/// the next answer is removed.
class RefreshProvider : public ThreadProvider {
 public:
  /// All groups that there are. Runs on the provider's own thread and may
  /// block in the fetcher; whatever else it waits for must end soon after
  /// `fetcher.cancelled()`.
  using Refresh =
      std::function<absl::StatusOr<std::vector<TargetGroup>>(Fetcher& fetcher)>;

  struct Options {
    /// The kind's name, as in metrics and logs. At most 12 characters name
    /// the thread.
    std::string mechanism;
    std::int64_t interval_ms = 0;
    /// Null for the defaults.
    std::shared_ptr<const http::ClientConfig> client = nullptr;
  };

  RefreshProvider(Options options, const ProviderContext& context,
                  Refresh refresh);
  ~RefreshProvider() override;

 private:
  void Run() override;
  void RefreshOnce();

  const std::int64_t interval_ms_;
  const base::Logger logger_;
  const RefreshMetrics metrics_;
  const Refresh refresh_;
  /// Sources of the groups that the consumer has.
  std::set<std::string> known_;
};

}  // namespace narthex::discovery
