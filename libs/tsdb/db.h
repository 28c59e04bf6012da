#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "libs/base/clock.h"
#include "libs/base/log.h"
#include "libs/metrics/metrics.h"
#include "libs/model/labels.h"
#include "libs/model/matcher.h"
#include "libs/storage/label_table.h"
#include "libs/storage/storage.h"
#include "libs/tsdb/append_batch.h"
#include "libs/tsdb/block.h"
#include "libs/tsdb/compact.h"
#include "libs/tsdb/exemplar_store.h"
#include "libs/tsdb/replay_watch.h"
#include "libs/tsdb/retention.h"
#include "libs/tsdb/series_limit.h"
#include "libs/tsdb/wal.h"
#include "libs/tsdb/wal_records.h"

namespace narthex::tsdb {

struct DbOptions {
  /// Span of a block cut from the head (`min-block-duration`).
  std::int64_t block_ms = kDefaultBlockMs;
  /// Span of the largest block; 0: 31 days, or a tenth of the retention when
  /// that is less.
  std::int64_t max_block_ms = 0;
  Retention retention;
  int samples_per_chunk = 120;
  /// Samples older than the newest of their series are taken when they are
  /// at most so much older than the newest of all; 0: none.
  std::int64_t out_of_order_window_ms = 0;
  /// Samples of an out-of-order chunk, 1 to 255.
  int out_of_order_cap_max = 32;
  /// Blocks that overlap are compacted into one.
  bool overlapping_compaction = true;
  /// Exemplars kept in memory, of all series; 0: none.
  std::size_t max_exemplars = 0;
  /// Of the files that hold a block's chunks.
  std::uint64_t block_segment_bytes = kDefaultSegmentBytes;
  /// A file that says which blocks are uploaded (see ReadUploadedBlocks):
  /// only those among the ones cut from the head are compacted. Empty: all.
  std::string uploads_file;
  SeriesBounds series;
  /// Series that ended leave the head early for blocks of their own once they
  /// are that share of all; 0: only when room is needed.
  double stale_threshold = 0;
  /// Guard the directory against a second process by a file `lock`.
  bool lock_file = true;
  /// Change nothing in the directory, which another process may be using:
  /// nothing is locked, repaired or removed, and whatever writes gives
  /// kFailedPrecondition.
  bool read_only = false;
  WalOptions wal;
  /// Store when the counters behind samples began, of floats and of
  /// histograms: in the log as records, in blocks as chunks that Prometheus
  /// reads from 3.14 on only.
  bool start_times = false;
  bool histogram_start_times = false;
  /// Write floats into blocks as XOR2 chunks, which are smaller than XOR chunks
  /// but cannot be read by Prometheus before 3.14.
  bool xor2_blocks = false;
  /// A snapshot of memory is written by Close, and shortens the next start.
  bool memory_snapshot = false;
  /// Follows the replay, may end it, and may be called by several threads.
  ReplayWatch replay;
};

/// A name and how often it occurs.
struct NamedCount {
  std::string name;
  std::uint64_t count = 0;
};

/// What makes up the head, each list descending by count.
struct Cardinality {
  std::uint64_t series = 0;
  std::uint64_t label_pairs = 0;
  std::uint64_t chunks = 0;
  std::int64_t min_ms = 0;
  std::int64_t max_ms = 0;
  std::vector<NamedCount> series_by_metric;
  std::vector<NamedCount> values_by_label;
  std::vector<NamedCount> bytes_by_label;
  std::vector<NamedCount> series_by_pair;
};

class Head;

/// A time series database in one directory, which is as Prometheus writes and
/// reads it: the newest samples in the head, in memory and in the write-ahead
/// log, all others in blocks. Thread-safe. Nothing happens by itself: the
/// owner calls Maintain() every minute or so.
class Db {
 public:
  /// Opens or creates `directory`: loads the blocks, repairs the log and
  /// replays it. A block that cannot be opened is left aside, logged and
  /// counted. Errors: kFailedPrecondition when another process holds the
  /// directory, and those of the system.
  static absl::StatusOr<std::unique_ptr<Db>> Open(const std::string& directory,
                                                  const DbOptions& options,
                                                  base::Logger logger,
                                                  base::Clock& clock,
                                                  metrics::Registry& registry);
  ~Db();

  /// The reference of a series, made on first sight. It names the series
  /// until the head forgets it, some time after its last sample; Append then
  /// answers kUnknownSeries, and asking again gives a new one.
  ///   kInvalidArgument    `labels` is empty.
  ///   kResourceExhausted  the series is new and a bound is reached.
  absl::StatusOr<storage::SeriesRef> GetOrCreateSeries(
      const model::Labels& labels);
  /// The labels behind a reference; nothing when it is not known.
  std::optional<model::Labels> LabelsOf(storage::SeriesRef ref) const;

  /// Whether there is room for new series, with some to spare: what was
  /// refused may be asked for again.
  bool HasRoomForSeries() const;

  /// Stores what the batch holds. OK: all but those appended to `*rejected`
  /// (ascending by index) are in the write-ahead log and visible, to every
  /// selection either all or none. A sample that is already stored counts as
  /// stored. kResourceExhausted (disk full) or another error of writing: none
  /// was taken; trying again later may succeed.
  absl::Status Append(const AppendBatch& batch,
                      std::vector<storage::Rejection>* rejected);
  absl::Status Append(absl::Span<const RefSample> samples,
                      std::vector<storage::Rejection>* rejected,
                      const AppendRules& rules = {}) {
    AppendBatch batch;
    batch.samples = samples;
    batch.rules = rules;
    return Append(batch, rejected);
  }

  /// The exemplars inside `range` of series that satisfy all matchers of at
  /// least one set, sorted by labels.
  std::vector<SeriesExemplars> SelectExemplars(
      const storage::TimeRange& range,
      const std::vector<std::vector<model::Matcher>>& matcher_sets) const;
  /// Keeps the newest `capacity` exemplars from now on.
  void ResizeExemplars(std::size_t capacity);

  /// The series that satisfy all matchers with their chunks that overlap
  /// `range`, sorted by labels. Chunks may reach beyond the range and overlap.
  /// kDataLoss when a block with samples of the range cannot be opened.
  absl::StatusOr<std::unique_ptr<storage::ChunkSeriesSet>> SelectChunks(
      const storage::TimeRange& range,
      const std::vector<model::Matcher>& matchers) const;

  /// The same, to be read as samples; heeds the hints for less work.
  absl::StatusOr<std::unique_ptr<storage::SeriesSet>> SelectSamples(
      const storage::SelectHints& hints,
      const std::vector<model::Matcher>& matchers) const;

  /// The label sets of the series that satisfy all matchers and have a chunk
  /// that overlaps `range`.
  absl::StatusOr<storage::LabelTable> SelectLabels(
      const storage::TimeRange& range,
      const std::vector<model::Matcher>& matchers) const;

  /// Sorted names (values) of the series that satisfy at least one of the
  /// matcher sets (of all when there is none); at most `limit`, 0: all.
  absl::StatusOr<std::vector<std::string>> LabelNames(
      const storage::TimeRange& range,
      const std::vector<std::vector<model::Matcher>>& matcher_sets,
      std::size_t limit) const;
  absl::StatusOr<std::vector<std::string>> LabelValues(
      const std::string& name, const storage::TimeRange& range,
      const std::vector<std::vector<model::Matcher>>& matcher_sets,
      std::size_t limit) const;

  /// At most `limit` entries a list.
  Cardinality GetCardinality(std::size_t limit) const;
  /// Oldest sample of blocks and head; nothing when there is none.
  std::optional<std::int64_t> MinTime() const;
  std::vector<BlockMeta> Blocks() const;
  /// Blocks that cannot be opened, and damage that was cut out of the log.
  std::uint64_t corruption_count() const;

  /// All that is due by now: moves full chunks of the head out of memory, then
  /// ReloadBlocks, CompactIfDue, what is due of stale series, and
  /// ApplyRetention. The first error of these.
  absl::Status Maintain();
  /// Moves full chunks of the head out of memory. Costs next to nothing when
  /// there are none; called every second, memory never has many of them.
  absl::Status MoveFullChunks();
  /// Moves series that ended into blocks if new ones are refused for want of
  /// room. Costs next to nothing when there is room; called every second.
  absl::Status MakeRoomIfRefused();
  /// Cuts blocks from the head while it spans more than one and a half of
  /// them, and then of what came out of order; then compacts blocks into
  /// larger ones.
  absl::Status CompactIfDue();
  /// Writes what came out of order into blocks of its own.
  absl::Status CompactOutOfOrder();
  /// Changes DbOptions::out_of_order_window_ms.
  absl::Status SetOutOfOrderWindow(std::int64_t window_ms);
  /// Writes the whole head into blocks and forgets it.
  absl::Status Flush();
  /// Takes note of blocks that others put into the directory, removed from it
  /// or repaired.
  absl::Status ReloadBlocks();
  /// Removes blocks beyond the retention, and from others the series that are
  /// beyond theirs.
  absl::Status ApplyRetention();
  /// Changes what is kept, from the next ApplyRetention on. An error, and no
  /// change, when a share of the disk is asked for and its size is not known.
  absl::Status SetRetention(Retention retention);
  Retention retention() const;
  /// Changes DbOptions::stale_threshold.
  void SetStaleThreshold(double share);
  /// Changes DbOptions::xor2_blocks.
  void SetXor2Blocks(bool on);

  /// Deletes the samples of matching series inside `range`, durably.
  absl::Status DeleteSeries(const storage::TimeRange& range,
                            const std::vector<model::Matcher>& matchers);
  /// Rewrites the blocks that hold deleted samples.
  absl::Status CleanTombstones();
  /// Puts hard links of all blocks, and the head as a block unless
  /// `skip_head`, into the new directory `directory`.
  absl::Status Snapshot(const std::string& directory, bool skip_head);

  /// Forces to disk all that was acknowledged so far.
  absl::Status ForceLogToDisk();

  /// Makes what writes blocks, now or later, end within a second with
  /// kCancelled. The database stays as it was before; only Close may follow.
  void Interrupt();

  /// Ends all work and closes the log; only destruction may follow. Called by
  /// the destructor when it was not before.
  absl::Status Close();

 private:
  struct Rep;
  explicit Db(std::unique_ptr<Rep> rep);
  std::unique_ptr<Rep> rep_;
};

}  // namespace narthex::tsdb
