#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/mutex.h"
#include "libs/storage/storage.h"

namespace narthex::storage {

/// Series held in memory as they were given: for tests of rules and queries.
/// Thread-safe.
class MemoryStorage : public Queryable {
 public:
  MemoryStorage() = default;

  /// Adds samples, ascending in time, to the series `labels`. Of two samples at
  /// one time the one that was there stays.
  void Add(const model::Labels& labels, const model::SampleColumns& samples)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void Clear() ABSL_LOCKS_EXCLUDED(mutex_);

  absl::StatusOr<std::unique_ptr<SeriesSet>> Select(
      const SelectHints& hints,
      const std::vector<model::Matcher>& matchers) override
      ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<std::vector<std::string>> LabelNames(
      const TimeRange& range,
      const std::vector<std::vector<model::Matcher>>& matcher_sets,
      std::size_t limit) override ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<std::vector<std::string>> LabelValues(
      const std::string& name, const TimeRange& range,
      const std::vector<std::vector<model::Matcher>>& matcher_sets,
      std::size_t limit) override ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  /// Never changed once it is in the map, so that readers may share it.
  using Columns = std::shared_ptr<const model::SampleColumns>;

  mutable base::Mutex mutex_;
  std::map<model::Labels, Columns> series_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::storage
