#pragma once

#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "libs/cluster/push_columns.h"
#include "libs/model/histogram.h"

namespace narthex::scraper {

/// Gives each counter of a target a sample of zero at the time it began, so
/// that what it counted up to its first scrape is seen to have been counted.
/// Prometheus's created-timestamp-zero-ingestion, which offers that zero with
/// every sample; all but the first are then refused as out of order. Not
/// thread-safe.
class StartZeros {
 public:
  /// A sample at `timestamp_ms` of a counter that began at `start_ms` comes:
  /// appends the zero to `*zeros` when the start is new and before the sample.
  void Note(std::uint32_t ref, std::int64_t start_ms, std::int64_t timestamp_ms,
            cluster::PushBatch* zeros);
  /// The same of a native histogram, whose zero has the layout of `value`.
  void Note(std::uint32_t ref, std::int64_t start_ms, std::int64_t timestamp_ms,
            const model::HistogramValue& value, cluster::PushBatch* zeros);

  void Forget(std::uint32_t ref) { known_.erase(ref); }
  /// All starts are new again.
  void Clear() { known_.clear(); }

 private:
  bool IsNew(std::uint32_t ref, std::int64_t start_ms,
             std::int64_t timestamp_ms);

  absl::flat_hash_map<std::uint32_t, std::int64_t> known_;
};

}  // namespace narthex::scraper
