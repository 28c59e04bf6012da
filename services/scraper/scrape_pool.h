#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/mutex.h"
#include "libs/cluster/addresses.h"
#include "libs/discovery/manager.h"
#include "services/scraper/scheduler.h"
#include "services/scraper/scrape_loop.h"

namespace narthex::scraper {

/// Which of the scrapers of a set this one is.
class Shard {
 public:
  /// The only one.
  Shard() = default;
  /// Requires: index < count.
  Shard(std::uint64_t index, std::uint64_t count);

  /// Whether a target with this hash is ours. By weight, so that a scraper
  /// more or less moves only its own share.
  bool Owns(std::uint64_t hash) const;
  std::uint64_t index() const { return index_; }
  std::uint64_t count() const { return count_; }

 private:
  std::uint64_t index_ = 0;
  std::uint64_t count_ = 1;
  std::shared_ptr<const cluster::Owners> owners_;
};

/// Reads "i/n". kInvalidArgument unless 0 <= i < n.
absl::StatusOr<Shard> ParseShard(absl::string_view text);

/// The targets of one scrape configuration and their loops. Thread-safe.
class ScrapePool {
 public:
  ScrapePool(std::shared_ptr<const ScrapeSettings> settings, Shard shard,
             Scheduler& scheduler, LoopContext& context);

  /// Takes over new settings; loops of unchanged targets go on with what they
  /// have learned. Takes effect on targets with the next Sync().
  void Update(std::shared_ptr<const ScrapeSettings> settings)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// Starts loops for new targets and retires those of targets that are gone.
  /// Does nothing once the pool is retired.
  void Sync(const discovery::TargetGroups& groups) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Retires all loops: the configuration is gone.
  void Retire() ABSL_LOCKS_EXCLUDED(mutex_);

  std::vector<std::shared_ptr<ScrapeLoop>> loops() const
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// At most keep_dropped_targets of them.
  std::vector<model::Labels> dropped() const ABSL_LOCKS_EXCLUDED(mutex_);
  std::uint64_t dropped_count() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using Targets = std::map<std::uint64_t, Target>;

  Targets MakeTargets(const discovery::TargetGroups& groups)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EnforceTargetLimit() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Shard shard_;
  Scheduler& scheduler_;
  LoopContext& context_;
  const std::shared_ptr<SeriesBudget> budget_;
  mutable base::Mutex mutex_;
  std::shared_ptr<const ScrapeSettings> settings_ ABSL_GUARDED_BY(mutex_);
  // By the target's hash.
  std::map<std::uint64_t, std::shared_ptr<ScrapeLoop>> loops_
      ABSL_GUARDED_BY(mutex_);
  std::vector<model::Labels> dropped_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t dropped_count_ ABSL_GUARDED_BY(mutex_) = 0;
  // With those of other shards, which count for the limit, too.
  std::uint64_t target_count_ ABSL_GUARDED_BY(mutex_) = 0;
  bool retired_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace narthex::scraper
