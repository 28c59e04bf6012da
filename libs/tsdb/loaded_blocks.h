#pragma once

#include <memory>
#include <vector>

#include "libs/base/mutex.h"
#include "libs/tsdb/block.h"
#include "libs/tsdb/ulid.h"

namespace narthex::tsdb {

/// Blocks in ascending time.
using BlockList = std::vector<std::shared_ptr<Block>>;

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

 private:
  mutable base::Mutex mutex_;
  std::shared_ptr<const BlockList> list_ ABSL_GUARDED_BY(mutex_) =
      std::make_shared<BlockList>();
};

}  // namespace narthex::tsdb
