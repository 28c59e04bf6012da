#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/log.h"
#include "libs/storage/storage.h"
#include "libs/tsdb/head.h"
#include "libs/tsdb/metrics.h"

namespace narthex::tsdb {

/// What a replay met.
struct ReplayResult {
  std::uint64_t samples = 0;
  std::uint64_t unknown_refs = 0;
  std::uint64_t skipped_records = 0;
  int segments = 0;
  /// References of series that the head knows by another one.
  std::vector<storage::SeriesRef> other_refs;
};

/// Fills `head` from the newest checkpoint and the segments after it in
/// `directory`. Where a segment is damaged the log is cut off there, which is
/// logged and counted, and what came before is kept. Records of kinds that
/// are not kept are skipped and counted.
absl::StatusOr<ReplayResult> ReplayWal(const std::string& directory, Head& head,
                                       const base::Logger& logger,
                                       TsdbMetrics& metrics);

}  // namespace narthex::tsdb
