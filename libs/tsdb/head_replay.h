#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/log.h"
#include "libs/storage/storage.h"
#include "libs/tsdb/head.h"
#include "libs/tsdb/metrics.h"
#include "libs/tsdb/replay_watch.h"
#include "libs/tsdb/wal_directory.h"

namespace narthex::tsdb {

/// References by which the log calls series that the head knows by another
/// one, and that one.
using OtherRefs = absl::flat_hash_map<storage::SeriesRef, storage::SeriesRef>;

/// What a replay met.
struct ReplayResult {
  std::uint64_t samples = 0;
  std::uint64_t unknown_refs = 0;
  std::uint64_t skipped_records = 0;
  /// Series that the head's limit left out.
  std::uint64_t refused_series = 0;
  int segments = 0;
  OtherRefs other_refs;
  /// Where a segment is damaged, which RepairWal is to cut off: nothing behind
  /// was read.
  std::optional<WalFlaw> flaw;
  /// The checkpoint is damaged: some of it was not read.
  bool checkpoint_damaged = false;
  /// Of the log of samples out of order: the last chunk that a marker names
  /// (see HeadChunk::file_ref); 0: none.
  std::uint64_t last_chunk = 0;
};

/// Where a replay begins when memory came from a snapshot, and the references
/// that are known from before.
struct ReplayStart {
  std::optional<WalPosition> from;
  OtherRefs other_refs;
};

/// Fills `head` from the newest checkpoint and the segments after it in
/// `directory`, or from `start` on, up to where a segment is damaged, which is
/// logged and counted. Records of kinds that are not kept are skipped and
/// counted.
absl::StatusOr<ReplayResult> ReplayWal(const std::string& directory, Head& head,
                                       const ReplayWatch& watch,
                                       const base::Logger& logger,
                                       TsdbMetrics& metrics,
                                       ReplayStart start = {});

/// Likewise from the log of samples out of order, after the other: `other_refs`
/// are those that it gave.
absl::StatusOr<ReplayResult> ReplayOutOfOrderLog(const std::string& directory,
                                                 const OtherRefs& other_refs,
                                                 Head& head,
                                                 const base::Logger& logger,
                                                 TsdbMetrics& metrics);

}  // namespace narthex::tsdb
