#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/tsdb/block.h"
#include "libs/tsdb/block_writer.h"
#include "libs/tsdb/chunk_snapshot.h"
#include "libs/tsdb/db.h"
#include "libs/tsdb/head.h"
#include "libs/tsdb/head_replay.h"
#include "libs/tsdb/loaded_blocks.h"
#include "libs/tsdb/metrics.h"

namespace narthex::tsdb {

/// The parts of a Db, and what changes its files. Private to Db.
class DbState {
 public:
  DbState(std::string directory, DbOptions options, base::Logger logger,
          base::Clock& clock, metrics::Registry& registry);

  /// Brings everything to life, in this order.
  absl::Status Lock();
  absl::Status RemoveLeftovers();
  absl::Status LoadBlocks();
  absl::Status ReplayLog();
  absl::Status ReplayOutOfOrderLog();

  absl::Status SetRetention(Retention retention)
      ABSL_LOCKS_EXCLUDED(retention_mutex_);
  Retention retention() const ABSL_LOCKS_EXCLUDED(retention_mutex_);
  absl::Status CheckReadable(const storage::TimeRange& range) const {
    return blocks_->CheckReadable(range);
  }
  std::uint64_t corruption_count() const;
  void Interrupt() { interrupted_.store(true); }
  void SetStaleThreshold(double share) { stale_threshold_.store(share); }

  std::shared_ptr<const BlockList> blocks() const { return blocks_->list(); }
  Head& head() const { return *head_; }
  ExemplarStore& exemplars() { return exemplars_; }
  Wal& wal() const { return *wal_; }
  base::Mutex& maintenance() ABSL_LOCK_RETURNED(maintenance_) {
    return maintenance_;
  }
  const std::string& directory() const { return directory_; }
  bool read_only() const { return options_.read_only; }

  /// Writes the head's samples in [min_ms, max_ms) as a block below `parent`;
  /// nothing when there are none.
  absl::StatusOr<std::optional<BlockMeta>> WriteHeadBlock(
      const std::string& parent, std::int64_t min_ms, std::int64_t max_ms);

  /// Moves full chunks of the head from memory into files.
  absl::Status MoveFullChunks() ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintenance_);
  absl::Status CompactHead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintenance_);
  absl::Status CompactOutOfOrder() ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintenance_);
  absl::Status SetOutOfOrderWindow(std::int64_t window_ms)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintenance_);
  absl::Status FlushHead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintenance_);
  absl::Status CompactStoredBlocks()
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintenance_);
  absl::Status CompactStaleIfDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintenance_);
  /// The same, and nothing while no series ended since the last time.
  absl::Status MakeRoom() ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintenance_);
  absl::Status ReloadBlocks() ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintenance_);
  absl::Status ApplyRetention() ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintenance_);
  absl::Status CleanTombstones() ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintenance_);
  absl::Status Snapshot(const std::string& directory, bool skip_head)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintenance_);
  absl::Status Close();

 private:
  /// Brings the head back from a snapshot of memory, or begins its files anew
  /// when there is none that can be used. Returns where the replay of the log
  /// is to begin.
  absl::StatusOr<ReplayStart> BeginReplay();
  absl::StatusOr<ReplayStart> LoadMemorySnapshot(const ChunkSnapshot& snapshot);
  absl::Status TakeFromEarlierChunks(
      const std::function<void()>& move_full_chunks);
  absl::Status WriteMemorySnapshot() ABSL_LOCKS_EXCLUDED(maintenance_);
  absl::Status CutBlock(std::int64_t min_ms, std::int64_t max_ms);
  absl::Status TruncateLog(std::int64_t min_ms);
  absl::Status OpenOutOfOrderLog();
  /// Repairs that log, as it was replayed, and brings back what it lost.
  absl::Status MendOutOfOrderLog(const ReplayResult& replayed);
  /// Writes the sealed samples in [min_ms, max_ms) as a block below `parent`;
  /// nothing when there are none.
  absl::StatusOr<std::optional<BlockMeta>> WriteOutOfOrderBlock(
      const std::string& parent, std::int64_t min_ms, std::int64_t max_ms);
  absl::StatusOr<BlockList> WriteOutOfOrderBlocks();
  absl::Status SnapshotOutOfOrder(const std::string& directory);
  absl::Status CompactGroup(const std::vector<BlockMeta>& plan);
  /// Rewrites some blocks as one and puts it in their place.
  absl::Status Rewrite(const BlockList& parents);
  /// Whether no other block ends later.
  bool HasNewest(const BlockList& some) const;
  absl::Status MarkFailed(const BlockList& blocks, const absl::Status& reason);
  absl::Status RemoveBlocks(const std::vector<Ulid>& ulids);
  /// Whether so many stale series are to leave the head.
  bool StaleCompactionDue(std::int64_t stale) const;
  /// Append the blocks that were written to `*written`, on an error too.
  absl::Status WriteStaleBlocks(const std::vector<Head::StaleSeries>& stale,
                                std::vector<Ulid>* written);
  absl::Status WriteStaleBlock(const std::vector<Head::StaleSeries>& stale,
                               std::int64_t min_ms, std::int64_t max_ms,
                               std::vector<Ulid>* written);
  std::vector<BlockMeta> Metas() const;
  std::vector<BlockMeta> CompactableBlocks() const;
  BlockWriterOptions WriterOptions() const;
  void ReportUnreadable(const UnreadableBlocks& unreadable) const;
  absl::StatusOr<UnreadableBlocks> OpenNewBlocks(
      const std::vector<Ulid>& present);
  absl::Status RemoveExpired(const Retention& retention);
  absl::Status RemoveExcess(const Retention& retention);
  absl::Status RemoveExpiredSeries(const Retention& retention)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintenance_);
  std::uint64_t BytesBesideBlocks() const;

  const std::string directory_;
  const DbOptions options_;
  const base::Logger logger_;
  base::Clock& clock_;
  metrics::Registry& registry_;
  TsdbMetrics metrics_;
  SeriesLimit limit_;
  base::UniqueFd lock_;

  ExemplarStore exemplars_;
  // Its chunks are read by the head, which selections may keep alive.
  std::shared_ptr<HeadChunkFiles> head_chunks_;
  const std::shared_ptr<Head> head_;
  std::unique_ptr<Wal> wal_;
  // Of samples out of order; null before the first time they are taken.
  std::unique_ptr<WriteLogMetrics> wbl_metrics_;
  std::unique_ptr<Wal> wbl_;
  // Declared in the log beside the references in use, and needed there while
  // samples up to this time are.
  OtherRefs other_refs_;
  std::int64_t other_refs_until_ms_ = 0;
  // All that is on disk is in memory.
  bool replayed_ = false;

  const std::shared_ptr<LoadedBlocks> blocks_ =
      std::make_shared<LoadedBlocks>();

  std::atomic<bool> interrupted_{false};
  std::atomic<double> stale_threshold_;
  base::Mutex maintenance_;
  // Stale series that there were after room was last made.
  std::int64_t stale_left_ ABSL_GUARDED_BY(maintenance_) = 0;

  mutable base::Mutex retention_mutex_;
  Retention retention_ ABSL_GUARDED_BY(retention_mutex_);
  // The time (see ReachedTime) up to which a block's series were examined.
  std::map<Ulid, std::int64_t> examined_ ABSL_GUARDED_BY(retention_mutex_);
};

}  // namespace narthex::tsdb
