#pragma once

#include <map>
#include <memory>
#include <string>

#include "libs/config/config.h"
#include "services/scraper/scrape_pool.h"

namespace narthex::scraper {

/// All scrape pools of a configuration, fed by discovery. Thread-safe.
class ScrapeManager {
 public:
  /// References outlive the manager.
  ScrapeManager(Shard shard, Scheduler& scheduler, LoopContext& context,
                discovery::Manager::Options discovery,
                discovery::Metrics& discovery_metrics);
  /// Stops discovery; loops are stopped with the scheduler.
  ~ScrapeManager();

  /// Makes `config` the one in force, all of it or, on an error, nothing.
  /// Pools that stay keep their loops.
  absl::Status Apply(const config::Config& config) ABSL_LOCKS_EXCLUDED(mutex_);

  /// By job name.
  std::map<std::string, std::shared_ptr<ScrapePool>> pools() const
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Sync(const std::map<std::string, discovery::TargetGroups>& jobs)
      ABSL_LOCKS_EXCLUDED(mutex_);

  const Shard shard_;
  Scheduler& scheduler_;
  LoopContext& context_;
  mutable base::Mutex mutex_;
  std::map<std::string, std::shared_ptr<ScrapePool>> pools_
      ABSL_GUARDED_BY(mutex_);
  discovery::Manager discovery_;
};

}  // namespace narthex::scraper
