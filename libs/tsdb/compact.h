#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/tsdb/block.h"
#include "libs/tsdb/block_meta.h"
#include "libs/tsdb/block_writer.h"

namespace narthex::tsdb {

inline constexpr std::int64_t kDefaultBlockMs = 2 * 60 * 60 * 1000;

/// The spans of blocks by level: `min_block_ms`, then three times the one
/// before, none above `max_block_ms`.
std::vector<std::int64_t> CompactionRanges(std::int64_t min_block_ms,
                                           std::int64_t max_block_ms);

/// Which blocks to make into one next, ascending in time; empty when there is
/// nothing to do. In this order: blocks that overlap, if `overlapping`; blocks
/// that fill a larger range; one block of which much is deleted. The newest
/// block is left alone unless it overlaps, as are those whose compaction
/// failed before.
std::vector<BlockMeta> PlanCompaction(std::vector<BlockMeta> blocks,
                                      const std::vector<std::int64_t>& ranges,
                                      bool overlapping = true);

/// Makes one block of several in `directory`, samples of overlapping chunks
/// merged and deleted samples left out. No block at all when nothing is left.
/// The blocks it was made from stay; who removes them does so after this
/// returned.
absl::StatusOr<std::optional<BlockMeta>> CompactBlocks(
    const std::string& directory,
    const std::vector<std::shared_ptr<Block>>& blocks, std::int64_t now_ms,
    BlockWriterOptions options = {});

/// The blocks that `retention_ms`, counted back from the end of the newest
/// block, no longer covers at all. 0: none.
std::vector<Ulid> BlocksBeyondRetention(const std::vector<BlockMeta>& blocks,
                                        std::int64_t retention_ms);

/// The oldest blocks that must go so that the rest, with `other_bytes` of
/// other files, keep within `max_bytes`. 0: none.
std::vector<Ulid> BlocksBeyondSize(
    const std::vector<std::shared_ptr<Block>>& blocks,
    std::uint64_t other_bytes, std::uint64_t max_bytes);

/// The blocks that another one names as its parent: left behind by a crash
/// between a compaction and the removal of what it was made from.
std::vector<Ulid> SupersededBlocks(const std::vector<BlockMeta>& blocks);

}  // namespace narthex::tsdb
