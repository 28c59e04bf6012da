#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/mutex.h"
#include "libs/storage/storage.h"
#include "libs/tsdb/block.h"
#include "libs/tsdb/ulid.h"

namespace narthex::tsdb {

/// Blocks in ascending time.
using BlockList = std::vector<std::shared_ptr<Block>>;

/// A block that cannot be opened. It stays on disk for its owner to repair or
/// remove.
struct UnreadableBlock {
  Ulid ulid;
  /// Nothing when that cannot be read either.
  std::optional<BlockMeta> meta;
  /// Where its samples are. Without the meta that is known from the index; all
  /// of time when that cannot be read either.
  storage::TimeRange range;
  absl::Status reason;
};
using UnreadableBlocks = std::vector<UnreadableBlock>;

/// The blocks that selections look into. A list once taken stays as it is, as
/// long as it is held: `for (x : *blocks.list())` does not hold it.
/// Thread-safe.
class LoadedBlocks {
 public:
  std::shared_ptr<const BlockList> list() const ABSL_LOCKS_EXCLUDED(mutex_);
  std::shared_ptr<Block> Find(const Ulid& ulid) const
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// Puts in a block (or none, null) and takes others out, in one step.
  void Exchange(const std::shared_ptr<Block>& added,
                const std::vector<Ulid>& removed) ABSL_LOCKS_EXCLUDED(mutex_);

  std::shared_ptr<const UnreadableBlocks> unreadable() const
      ABSL_LOCKS_EXCLUDED(mutex_);
  void SetUnreadable(UnreadableBlocks blocks) ABSL_LOCKS_EXCLUDED(mutex_);
  /// kDataLoss, naming the block, when one that cannot be opened may hold
  /// samples of `range`: an answer without them would be wrong.
  absl::Status CheckReadable(const storage::TimeRange& range) const
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  mutable base::Mutex mutex_;
  std::shared_ptr<const BlockList> list_ ABSL_GUARDED_BY(mutex_) =
      std::make_shared<BlockList>();
  std::shared_ptr<const UnreadableBlocks> unreadable_ ABSL_GUARDED_BY(mutex_) =
      std::make_shared<UnreadableBlocks>();
};

}  // namespace narthex::tsdb
