#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "libs/model/labels.h"
#include "libs/storage/storage.h"
#include "libs/tsdb/block_meta.h"
#include "libs/tsdb/chunk_segments.h"

namespace narthex::tsdb {

/// The suffixes of directories that are not (yet, any more) blocks.
inline constexpr absl::string_view kCreationSuffix = ".tmp-for-creation";
inline constexpr absl::string_view kDeletionSuffix = ".tmp-for-deletion";

struct BlockWriterOptions {
  std::uint64_t segment_bytes = kDefaultSegmentBytes;
  /// True makes AddSeries and Finish end with kCancelled. May be null.
  const std::atomic<bool>* interrupted = nullptr;
};

/// Writes a block: series in label order with their encoded chunks. Nothing
/// is visible before Finish, whose rename is the commit point. Chunks and
/// series go to disk as they come; in memory are the symbols and, in Finish,
/// the postings lists.
///   auto writer = BlockWriter::Create(data_dir, meta);
///   for (...) writer->AddSeries(labels, chunks);
///   auto meta = writer->Finish();
class BlockWriter {
 public:
  /// `meta` gives ulid, time span and compaction; without sources, the block
  /// is its own. The stats are counted.
  static absl::StatusOr<std::unique_ptr<BlockWriter>> Create(
      const std::string& parent_directory, BlockMeta meta,
      BlockWriterOptions options = {});
  /// Removes what was written, unless finished.
  ~BlockWriter();

  /// Requires labels after those of the series before and chunks ascending in
  /// time that do not overlap; kInvalidArgument otherwise.
  absl::Status AddSeries(const model::Labels& labels,
                         absl::Span<const storage::Chunk> chunks);

  /// How many series there are by now.
  std::uint64_t series_count() const;

  /// Makes the block durable under its name and returns what its meta.json
  /// says. Every file and directory is fsynced before the rename.
  absl::StatusOr<BlockMeta> Finish();

 private:
  struct Rep;
  explicit BlockWriter(std::unique_ptr<Rep> rep);
  std::unique_ptr<Rep> rep_;
};

}  // namespace narthex::tsdb
