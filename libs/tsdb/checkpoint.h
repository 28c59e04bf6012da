#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "libs/base/log.h"
#include "libs/storage/storage.h"
#include "libs/tsdb/metrics.h"
#include "libs/tsdb/wal.h"

namespace narthex::tsdb {

/// What a checkpoint keeps of the segments it replaces.
struct CheckpointFilter {
  /// Whether the declaration of a series is still needed.
  std::function<bool(storage::SeriesRef)> keep_series;
  /// Samples and the like before this time go.
  std::int64_t min_ms = 0;
};

/// Writes into the log's directory a checkpoint of the newest existing one and
/// of all segments up to `last_segment`, which must not be written any more;
/// then removes these and the older checkpoints. A crash at any moment leaves
/// a log that replays to the same. Records of unknown kinds are dropped.
absl::Status CheckpointWal(Wal& wal, int last_segment,
                           const CheckpointFilter& filter,
                           const base::Logger& logger, TsdbMetrics& metrics);

/// Removes what a crash left of an unfinished checkpoint, and segments and
/// checkpoints that the newest checkpoint has replaced.
absl::Status CleanUpCheckpoints(const std::string& directory);

}  // namespace narthex::tsdb
