#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/tsdb/ulid.h"

namespace narthex::tsdb {

/// Marks a block made of samples that came out of order.
inline constexpr absl::string_view kHintFromOutOfOrder = "from-out-of-order";
/// Marks a block of series that left the head early because they had ended.
inline constexpr absl::string_view kHintFromStaleSeries = "from-stale-series";

/// What a block contains.
struct BlockStats {
  std::uint64_t samples = 0;
  std::uint64_t float_samples = 0;      ///< 0 in older blocks: not known.
  std::uint64_t histogram_samples = 0;  ///< Likewise.
  std::uint64_t series = 0;
  std::uint64_t chunks = 0;
  std::uint64_t tombstones = 0;  ///< Deleted intervals.
  friend bool operator==(const BlockStats&, const BlockStats&) = default;
};

/// A block from which another was made.
struct BlockParent {
  Ulid ulid;
  std::int64_t min_ms = 0;
  std::int64_t max_ms = 0;
  friend bool operator==(const BlockParent&, const BlockParent&) = default;
};

/// How a block came to be.
struct BlockCompaction {
  int level = 1;              ///< 1: cut from a head.
  std::vector<Ulid> sources;  ///< The level 1 blocks in it, sorted.
  std::vector<BlockParent> parents;
  std::vector<std::string> hints;
  bool deletable = false;  ///< It was compacted to nothing.
  bool failed = false;     ///< A compaction of it failed.

  bool HasHint(absl::string_view hint) const;
  friend bool operator==(const BlockCompaction&,
                         const BlockCompaction&) = default;
};

/// The content of a block's meta.json. Fields not known here are left out.
struct BlockMeta {
  Ulid ulid;
  std::int64_t min_ms = 0;
  std::int64_t max_ms = 0;  ///< Exclusive: the block covers [min_ms, max_ms).
  BlockStats stats;
  BlockCompaction compaction;
  friend bool operator==(const BlockMeta&, const BlockMeta&) = default;
};

/// kInvalidArgument for anything but a meta.json of version 1.
absl::StatusOr<BlockMeta> ParseBlockMeta(absl::string_view json);
std::string FormatBlockMeta(const BlockMeta& meta);

/// The blocks named in a file as uploaders of blocks keep it:
/// {"version":1,"uploaded":["01H..."]}.
absl::StatusOr<std::set<Ulid>> ReadUploadedBlocks(const std::string& path);

/// Reads `directory`/meta.json; kNotFound when there is none.
absl::StatusOr<BlockMeta> ReadBlockMeta(const std::string& directory);
/// Replaces `directory`/meta.json in one step.
absl::Status WriteBlockMeta(const std::string& directory,
                            const BlockMeta& meta);

}  // namespace narthex::tsdb
