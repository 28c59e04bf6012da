#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/tsdb/block.h"
#include "libs/tsdb/db.h"
#include "libs/tsdb/head.h"
#include "libs/tsdb/metrics.h"

namespace narthex::tsdb {

/// Blocks in ascending time.
using BlockList = std::vector<std::shared_ptr<Block>>;

/// The parts of a Db, and what changes its files. Private to Db.
class DbState {
 public:
  DbState(std::string directory, DbOptions options, base::Logger logger,
          base::Clock& clock, metrics::Registry& registry);

  /// Brings everything to life, in this order.
  absl::Status Lock();
  absl::Status RemoveLeftovers();
  absl::Status LoadBlocks() ABSL_LOCKS_EXCLUDED(blocks_mutex_);
  absl::Status ReplayLog();

  std::shared_ptr<const BlockList> blocks() const
      ABSL_LOCKS_EXCLUDED(blocks_mutex_);
  Head& head() const { return *head_; }
  Wal& wal() const { return *wal_; }
  base::Mutex& maintenance() ABSL_LOCK_RETURNED(maintenance_) {
    return maintenance_;
  }
  const std::string& directory() const { return directory_; }

  /// Writes the head's samples in [min_ms, max_ms) as a block below `parent`;
  /// nothing when there are none.
  absl::StatusOr<std::optional<BlockMeta>> WriteHeadBlock(
      const std::string& parent, std::int64_t min_ms, std::int64_t max_ms);

  absl::Status CompactHead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintenance_);
  absl::Status FlushHead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintenance_);
  absl::Status CompactStoredBlocks()
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintenance_);
  absl::Status ApplyRetention() ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintenance_);
  absl::Status CleanTombstones() ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintenance_);
  absl::Status Snapshot(const std::string& directory, bool skip_head)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintenance_);
  absl::Status Close();

 private:
  void RegisterFunctions(metrics::Registry& registry);
  absl::Status CutBlock(std::int64_t min_ms, std::int64_t max_ms);
  absl::Status TruncateLog(std::int64_t min_ms);
  absl::Status CompactGroup(const std::vector<BlockMeta>& plan);
  /// Rewrites some blocks as one and puts it in their place.
  absl::Status Rewrite(const BlockList& parents);
  absl::Status MarkFailed(const BlockList& blocks, const absl::Status& reason);
  std::shared_ptr<Block> FindBlock(const Ulid& ulid) const;
  /// Adds a block (if any) and takes others out in one step.
  void Exchange(const std::shared_ptr<Block>& added,
                const std::vector<Ulid>& removed)
      ABSL_LOCKS_EXCLUDED(blocks_mutex_);
  absl::Status RemoveBlocks(const std::vector<Ulid>& ulids);
  std::vector<BlockMeta> Metas() const;

  const std::string directory_;
  const DbOptions options_;
  const base::Logger logger_;
  base::Clock& clock_;
  TsdbMetrics metrics_;
  base::UniqueFd lock_;

  std::shared_ptr<Head> head_;
  std::unique_ptr<Wal> wal_;
  // Declared in the log beside the references in use, and needed there while
  // samples up to this time are.
  absl::flat_hash_set<storage::SeriesRef> other_refs_;
  std::int64_t other_refs_until_ms_ = 0;

  base::Mutex maintenance_;
  mutable base::Mutex blocks_mutex_;
  std::shared_ptr<const BlockList> blocks_ ABSL_GUARDED_BY(blocks_mutex_);
};

}  // namespace narthex::tsdb
