#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/log.h"
#include "libs/tsdb/head.h"
#include "libs/tsdb/head_replay.h"
#include "libs/tsdb/wal.h"
#include "libs/tsdb/wal_directory.h"

/// Snapshots of memory: directories `chunk_snapshot.<segment>.<offset>` with
/// what the head held when the log had come that far, but for the full chunks,
/// which are in `chunks_head`, and samples out of order, which are in a log of
/// their own. Good for one start, when nothing was logged since. Segments as
/// the log's, of records of their own
/// (chunk_snapshot_records.h).
namespace narthex::tsdb {

/// What the names of all snapshots begin with.
inline constexpr absl::string_view kChunkSnapshotPrefix = "chunk_snapshot.";

struct ChunkSnapshot {
  WalPosition position;
  std::string path;
};

/// The newest snapshot in a data directory; nothing when there is none.
absl::StatusOr<std::optional<ChunkSnapshot>> FindChunkSnapshot(
    const std::string& directory);

/// Removes all snapshots and what is left of unfinished ones, but `kept` if
/// given. A crash leaves no part of one that looks whole.
absl::Status RemoveChunkSnapshots(const std::string& directory,
                                  const ChunkSnapshot* kept = nullptr);

/// What a snapshot says beside the head's content. Prometheus's do not.
struct SnapshotReferences {
  /// The highest that was ever given to a series.
  SeriesId last_id = 0;
  /// What is before is not the head's any more, even if no block tells so.
  std::int64_t min_valid_ms = Head::kNoMaxTime;
  /// What the files of full chunks hold; 0 when it does not say. They do not
  /// tell when their end is missing.
  std::uint64_t full_bytes = 0;
  OtherRefs others;
};

/// kNotFound when it does not say.
absl::StatusOr<SnapshotReferences> ReadSnapshotReferences(
    const ChunkSnapshot& snapshot);

/// Writes a snapshot of the head, which is prepared for it and does not change
/// any more, and removes older ones. `position` is the end of the log.
absl::StatusOr<ChunkSnapshot> WriteChunkSnapshot(
    const std::string& directory, const WalPosition& position, const Head& head,
    const SnapshotReferences& references, const WalOptions& options,
    const base::Logger& logger);

}  // namespace narthex::tsdb
