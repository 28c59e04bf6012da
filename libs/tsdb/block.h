#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/mutex.h"
#include "libs/model/labels.h"
#include "libs/model/matcher.h"
#include "libs/storage/storage.h"
#include "libs/tsdb/block_meta.h"
#include "libs/tsdb/chunk_segments.h"
#include "libs/tsdb/index_reader.h"
#include "libs/tsdb/tombstones.h"

namespace narthex::tsdb {

/// A block on disk: samples of a span of time that do not change any more,
/// but for deletions. Selections keep the block's files mapped, so its
/// directory may be removed while they are read. Thread-safe.
class Block : public std::enable_shared_from_this<Block> {
 public:
  /// Errors name file and offset: kNotFound without meta.json, kDataLoss for
  /// a corrupt file, kInvalidArgument for a version that is not read.
  static absl::StatusOr<std::shared_ptr<Block>> Open(
      const std::string& directory);

  const std::string& directory() const { return directory_; }
  const Ulid& ulid() const { return ulid_; }
  std::int64_t min_ms() const { return min_ms_; }
  /// Exclusive.
  std::int64_t max_ms() const { return max_ms_; }
  BlockMeta meta() const ABSL_LOCKS_EXCLUDED(mutex_);
  /// Of all its files.
  std::uint64_t size_bytes() const;
  /// Its samples came out of order: of others of their time those count.
  bool late() const { return late_; }
  const IndexReader& index() const { return *index_; }
  bool Overlaps(const storage::TimeRange& range) const {
    return range.max_ms >= min_ms_ && range.min_ms < max_ms_;
  }

  /// The series that satisfy all matchers, sorted by labels, each with its
  /// chunks that overlap `range`; series without any are left out. Deleted
  /// samples are not in the chunks. The set ends with kUnimplemented, naming
  /// the series, at a chunk of an unknown encoding.
  absl::StatusOr<std::unique_ptr<storage::ChunkSeriesSet>> Select(
      const storage::TimeRange& range,
      const std::vector<model::Matcher>& matchers) const;

  /// Everything.
  absl::StatusOr<std::unique_ptr<storage::ChunkSeriesSet>> SelectAll() const;

  /// Label names, sorted, of the series that satisfy all matchers.
  absl::StatusOr<std::vector<std::string>> LabelNames(
      const std::vector<model::Matcher>& matchers) const;
  /// Values of one label, likewise.
  absl::StatusOr<std::vector<std::string>> LabelValues(
      const std::string& name,
      const std::vector<model::Matcher>& matchers) const;

  /// Deletes, durably, what of the matching series is inside `range`.
  absl::Status Delete(const storage::TimeRange& range,
                      const std::vector<model::Matcher>& matchers)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// The same for series of its index.
  absl::Status DeleteSeries(const storage::TimeRange& range,
                            const Postings& series) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  friend class BlockSeriesSet;

  Block(std::string directory, BlockMeta meta);
  std::shared_ptr<const Tombstones> tombstones() const
      ABSL_LOCKS_EXCLUDED(mutex_);

  const std::string directory_;
  const Ulid ulid_;
  const std::int64_t min_ms_;
  const std::int64_t max_ms_;
  const bool late_;
  std::unique_ptr<IndexReader> index_;
  std::unique_ptr<ChunkSegmentReader> chunks_;
  std::uint64_t other_bytes_ = 0;

  mutable base::Mutex mutex_;
  BlockMeta meta_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const Tombstones> tombstones_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::tsdb
