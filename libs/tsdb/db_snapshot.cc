#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/tsdb/chunk_snapshot.h"
#include "libs/tsdb/db_state.h"
#include "libs/tsdb/snapshot_loader.h"

namespace narthex::tsdb {

absl::StatusOr<ReplayStart> DbState::BeginReplay() {
  if (options_.memory_snapshot) {
    NARTHEX_ASSIGN_OR_RETURN(const std::optional<ChunkSnapshot> snapshot,
                             FindChunkSnapshot(directory_));
    if (snapshot.has_value()) {
      NARTHEX_RETURN_IF_ERROR(RemoveChunkSnapshots(directory_, &*snapshot));
      absl::StatusOr<ReplayStart> start = LoadMemorySnapshot(*snapshot);
      // Other errors of it are reported, and the log has all.
      if (!absl::IsNotFound(start.status())) return start;
    }
  }
  // They need the files that go now, and would not match the new ones.
  NARTHEX_RETURN_IF_ERROR(RemoveChunkSnapshots(directory_));
  // What an earlier process left there is in the log too, if that is whole.
  NARTHEX_ASSIGN_OR_RETURN(
      std::unique_ptr<HeadChunkFiles> head_chunks,
      HeadChunkFiles::OpenBeside(absl::StrCat(directory_, "/chunks_head")));
  head_chunks_ = std::move(head_chunks);
  return ReplayStart();
}

absl::StatusOr<ReplayStart> DbState::LoadMemorySnapshot(
    const ChunkSnapshot& snapshot) {
  const std::int64_t start = clock_.MonotonicNs();
  SnapshotLoader loader(snapshot, directory_, *head_, options_.replay);
  const absl::Status prepared = loader.Prepare();
  if (absl::IsCancelled(prepared)) return prepared;
  if (!prepared.ok()) {
    metrics_.snapshots_unusable.Inc();
    logger_.Warn("snapshot of memory is passed over, the log is replayed",
                 {{"path", snapshot.path}, {"err", prepared.ToString()}});
    return absl::NotFoundError("no snapshot of memory can be used");
  }
  head_chunks_ = loader.files();
  const absl::Status applied = loader.Apply();
  if (!applied.ok()) {
    // It was good a moment ago. The next start is to do without it.
    if (!absl::IsCancelled(applied)) {
      NARTHEX_RETURN_IF_ERROR(RemoveChunkSnapshots(directory_));
    }
    return base::Annotate(applied, absl::StrCat("read ", snapshot.path));
  }
  metrics_.replay_refused_series.Inc(
      static_cast<double>(loader.refused_series()));
  if (loader.refused_series() > 0) {
    logger_.Warn("series of a snapshot left out because a limit is reached",
                 {{"series", loader.refused_series()}});
  }
  logger_.Info(
      "snapshot of memory read",
      {{"path", snapshot.path},
       {"series", loader.series()},
       {"seconds", static_cast<double>(clock_.MonotonicNs() - start) * 1e-9}});
  return ReplayStart{loader.position(), loader.other_refs()};
}

absl::Status DbState::WriteMemorySnapshot() {
  const std::int64_t start = clock_.MonotonicNs();
  base::MutexLock lock(maintenance_);
  head_->PrepareSnapshot();
  const auto write = [&]() -> absl::StatusOr<ChunkSnapshot> {
    NARTHEX_RETURN_IF_ERROR(head_->MoveFullChunks(*head_chunks_));
    NARTHEX_RETURN_IF_ERROR(head_chunks_->ForceToDisk());
    const SnapshotReferences references{
        head_->last_id(), head_->min_valid_time(), head_chunks_->size_bytes(),
        other_refs_};
    return WriteChunkSnapshot(directory_, wal_->Position(), *head_, references,
                              options_.wal, logger_);
  };
  const absl::StatusOr<ChunkSnapshot> snapshot = write();
  NARTHEX_RETURN_IF_ERROR(
      base::Annotate(snapshot.status(), "write snapshot of memory"));
  logger_.Info(
      "snapshot of memory written",
      {{"path", snapshot->path},
       {"series", head_->series_count()},
       {"seconds", static_cast<double>(clock_.MonotonicNs() - start) * 1e-9}});
  return absl::OkStatus();
}

}  // namespace narthex::tsdb
