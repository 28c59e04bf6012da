#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "libs/base/mutex.h"
#include "libs/model/sample.h"
#include "services/scraper/metrics.h"

namespace narthex::scraper {

/// Keeps one copy of equal metadata, which thousands of targets expose alike.
/// Thread-safe.
class MetadataPool {
 public:
  std::shared_ptr<const model::Metadata> Intern(model::Metadata metadata)
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  base::Mutex mutex_;
  absl::flat_hash_map<std::string, std::weak_ptr<const model::Metadata>> pool_
      ABSL_GUARDED_BY(mutex_);
  std::size_t sweep_at_ ABSL_GUARDED_BY(mutex_) = 1024;
};

/// What one target says about its metric families. Fed with the HELP, TYPE
/// and UNIT lines of each scrape, in their order; a line that says the same
/// as last time costs a comparison. One thread writes, any may read.
class MetadataCache {
 public:
  /// Counts what it holds in `size`, if given.
  explicit MetadataCache(MetadataPool& pool,
                         std::optional<MetadataSize> size = {})
      : pool_(pool), size_(size) {}
  ~MetadataCache();
  MetadataCache(const MetadataCache&) = delete;
  MetadataCache& operator=(const MetadataCache&) = delete;

  void BeginScrape();
  void Help(absl::string_view metric, absl::string_view help);
  void Type(absl::string_view metric, model::MetricType type);
  void Unit(absl::string_view metric, absl::string_view unit);
  /// Publishes what the scrape said, unless it failed.
  void EndScrape(bool good) ABSL_LOCKS_EXCLUDED(mutex_);

  using List = std::vector<std::shared_ptr<const model::Metadata>>;
  /// In the order of exposition.
  List Get() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Enter(absl::string_view metric);
  void Leave();
  // Adds what is published to the gauges, or takes it off them.
  void Count(double sign) ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  MetadataPool& pool_;
  const std::optional<MetadataSize> size_;
  // Of the scrape at hand.
  model::Metadata current_;
  std::size_t next_ = 0;
  List list_;
  bool changed_ = false;

  mutable base::Mutex mutex_;
  List published_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::scraper
