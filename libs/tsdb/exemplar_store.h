#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "absl/hash/hash.h"
#include "libs/base/mutex.h"
#include "libs/metrics/metrics.h"
#include "libs/model/exemplar.h"
#include "libs/model/labels.h"
#include "libs/model/matcher.h"
#include "libs/storage/storage.h"

namespace narthex::tsdb {

/// The exemplars of one series, ascending by time.
struct SeriesExemplars {
  model::Labels labels;
  std::vector<model::Exemplar> exemplars;
};

/// What became, or would become, of an exemplar.
enum class ExemplarVerdict : std::uint8_t {
  kNew,
  /// The newest of its series is equal: nothing to do. Where neither has a
  /// timestamp of its own, those need not be equal.
  kDuplicate,
  kOutOfOrder,  ///< It comes before the newest of its series.
  kTooLong,     ///< Its labels have more than 128 characters.
  kDisabled,    ///< None are kept.
};

/// The newest exemplars of all series, in memory: a ring in which each new one
/// takes the place of the oldest, whatever the series. Exemplars of a series
/// come ascending by time, then value, then labels. Thread-safe.
class ExemplarStore {
 public:
  /// Keeps `capacity` exemplars; 0: none.
  ExemplarStore(std::size_t capacity, metrics::Registry& registry);

  /// Keeps so many from now on, of those there are the newest.
  void Resize(std::size_t capacity) ABSL_LOCKS_EXCLUDED(mutex_);
  bool enabled() const ABSL_LOCKS_EXCLUDED(mutex_);

  /// What Add would do. Counts what is out of order.
  ExemplarVerdict Check(const model::Labels& series,
                        const model::Exemplar& exemplar)
      ABSL_LOCKS_EXCLUDED(mutex_);
  ExemplarVerdict Add(const model::Labels& series,
                      const model::Exemplar& exemplar)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// Adds one that was kept before a restart. As a log does not tell whether
  /// its time is its own, later ones are compared with it as if it was not.
  void Restore(const model::Labels& series, model::Exemplar exemplar)
      ABSL_LOCKS_EXCLUDED(mutex_);

  /// Those inside `range` of series that satisfy all matchers of at least one
  /// set, sorted by labels.
  std::vector<SeriesExemplars> Select(
      const storage::TimeRange& range,
      const std::vector<std::vector<model::Matcher>>& matcher_sets) const
      ABSL_LOCKS_EXCLUDED(mutex_);

  /// Calls `visit(labels, exemplar)` for all, oldest first.
  template <typename Visit>
  void ForEach(const Visit& visit) const ABSL_LOCKS_EXCLUDED(mutex_) {
    base::ReaderMutexLock lock(mutex_);
    for (std::size_t i = 0; i < ring_.size(); ++i) {
      const Slot& slot = ring_[(next_ + i) % ring_.size()];
      if (slot.series != nullptr) visit(slot.series->first, slot.exemplar);
    }
  }

 private:
  // The oldest and newest slot of a series.
  struct Ends {
    std::size_t oldest = 0;
    std::size_t newest = 0;
  };
  // Its entries stay where they are: slots point to them.
  using Index =
      std::unordered_map<model::Labels, Ends, absl::Hash<model::Labels>>;
  static constexpr std::size_t kNone = ~std::size_t{0};
  struct Slot {
    Index::value_type* series = nullptr;  // Null: free.
    std::size_t next = kNone;             // The next of the series.
    model::Exemplar exemplar;
  };
  struct Metrics {
    explicit Metrics(metrics::Registry& registry);
    metrics::Counter& appended;
    metrics::Counter& out_of_order;
    metrics::Gauge& stored;
    metrics::Gauge& series;
    metrics::Gauge& last_seconds;
    metrics::Gauge& capacity;
  };

  ExemplarVerdict Judge(const model::Labels& series,
                        const model::Exemplar& exemplar) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void Put(const model::Labels& series, const model::Exemplar& exemplar)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Makes the slot that is written next free.
  void Evict() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ShowState() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Metrics metrics_;
  mutable base::Mutex mutex_;
  std::size_t capacity_ ABSL_GUARDED_BY(mutex_);
  // Grows up to the capacity.
  std::vector<Slot> ring_ ABSL_GUARDED_BY(mutex_);
  std::size_t next_ ABSL_GUARDED_BY(mutex_) = 0;  // Is written next.
  std::size_t stored_ ABSL_GUARDED_BY(mutex_) = 0;
  Index index_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::tsdb
