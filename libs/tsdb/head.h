#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "libs/base/block_arena.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/model/labels.h"
#include "libs/model/matcher.h"
#include "libs/storage/label_table.h"
#include "libs/storage/storage.h"
#include "libs/tsdb/append_batch.h"
#include "libs/tsdb/apply_gate.h"
#include "libs/tsdb/by_shard.h"
#include "libs/tsdb/exemplar_store.h"
#include "libs/tsdb/head_chunk_files.h"
#include "libs/tsdb/histogram_batch.h"
#include "libs/tsdb/histogram_series.h"
#include "libs/tsdb/label_index.h"
#include "libs/tsdb/mem_series.h"
#include "libs/tsdb/metrics.h"
#include "libs/tsdb/out_of_order.h"
#include "libs/tsdb/paged_array.h"
#include "libs/tsdb/series_limit.h"
#include "libs/tsdb/start_runs.h"
#include "libs/tsdb/tombstones.h"
#include "libs/tsdb/wal.h"
#include "libs/tsdb/wal_records.h"

namespace narthex::tsdb {

struct HeadOptions {
  ChunkRules chunks;
  /// Samples of a chunk of those out of order.
  std::size_t out_of_order_capacity = 32;
  /// Keep start times of floats, and of histograms, as they come.
  bool start_times = false;
  bool histogram_start_times = false;
};

/// The newest samples, in memory. Series are spread over shards by reference:
/// appends and reads lock a shard at a time. Held by shared_ptr, because
/// selections read from it as they are walked. Thread-safe.
class Head : public std::enable_shared_from_this<Head> {
 public:
  /// min_time and max_time while there is no sample.
  static constexpr std::int64_t kNoMinTime =
      std::numeric_limits<std::int64_t>::max();
  static constexpr std::int64_t kNoMaxTime =
      std::numeric_limits<std::int64_t>::min();

  /// `limit` and `metrics` are used by what adds and changes series.
  Head(const HeadOptions& options, SeriesLimit& limit, base::Logger logger,
       TsdbMetrics& metrics);

  /// Where appends are logged from now on. Called once, before the first.
  void SetWal(Wal* wal) { wal_ = wal; }
  /// From now on takes samples that are older than the newest of their series
  /// by up to `window_ms` before the newest of all; 0: none. They are logged in
  /// `wbl`, which may be null only while none were ever taken.
  void SetOutOfOrder(std::int64_t window_ms, Wal* wbl);
  /// Whether what is selected for blocks has floats as XOR2 chunks.
  void SetXor2Blocks(bool on) { xor2_blocks_ = on; }
  /// Where exemplars go; without one they are dropped. Called before the
  /// first append, if at all.
  void SetExemplars(ExemplarStore* exemplars) { exemplars_ = exemplars; }

  /// As Db's functions of these names.
  absl::StatusOr<storage::SeriesRef> GetOrCreateSeries(
      const model::Labels& labels) ABSL_LOCKS_EXCLUDED(index_mutex_);
  std::optional<model::Labels> LabelsOf(storage::SeriesRef ref) const
      ABSL_LOCKS_EXCLUDED(index_mutex_);
  absl::Status Append(const AppendBatch& batch,
                      std::vector<storage::Rejection>* rejected);

  /// Chunks as they are, or with the samples outside `range` cut off.
  enum class Edges { kLoose, kTrimmed };
  absl::StatusOr<std::unique_ptr<storage::ChunkSeriesSet>> Select(
      storage::TimeRange range, const std::vector<model::Matcher>& matchers,
      Edges edges = Edges::kLoose) const ABSL_LOCKS_EXCLUDED(index_mutex_);
  /// The same, to be read as samples; heeds the hints for less work.
  absl::StatusOr<std::unique_ptr<storage::SeriesSet>> SelectSamples(
      const storage::SelectHints& hints,
      const std::vector<model::Matcher>& matchers) const
      ABSL_LOCKS_EXCLUDED(index_mutex_);
  absl::StatusOr<storage::LabelTable> SelectLabels(
      storage::TimeRange range,
      const std::vector<model::Matcher>& matchers) const
      ABSL_LOCKS_EXCLUDED(index_mutex_, tombstones_mutex_);
  /// In no order and perhaps with repetitions.
  absl::StatusOr<std::vector<std::string>> LabelNames(
      const std::vector<model::Matcher>& matchers) const
      ABSL_LOCKS_EXCLUDED(index_mutex_);
  absl::StatusOr<std::vector<std::string>> LabelValues(
      const std::string& name,
      const std::vector<model::Matcher>& matchers) const
      ABSL_LOCKS_EXCLUDED(index_mutex_);

  /// A series that ended, its last sample is a staleness marker, and has no
  /// samples out of order.
  struct StaleSeries {
    SeriesId id = 0;
    std::int64_t min_ms = 0;
    std::int64_t max_ms = 0;
  };
  /// Ascending by id.
  std::vector<StaleSeries> ListStale() const;
  /// As Select with trimmed edges, of these series.
  absl::StatusOr<std::unique_ptr<storage::ChunkSeriesSet>> SelectStale(
      storage::TimeRange range, const std::vector<StaleSeries>& stale) const
      ABSL_LOCKS_EXCLUDED(index_mutex_);
  /// Forgets those of the series that got no sample since they were listed:
  /// blocks that selections can see hold all of them. Logs which those are (see
  /// kMovedIntoBlocks) and returns how many. Waits for selections under way and
  /// forgets nothing when they take longer than a minute. Not to be called
  /// together with Truncate or MoveFullChunks.
  std::size_t ForgetStale(const std::vector<StaleSeries>& stale)
      ABSL_LOCKS_EXCLUDED(index_mutex_);

  /// Deletes the samples of matching series inside `range`, durably.
  absl::Status Delete(const storage::TimeRange& range,
                      const std::vector<model::Matcher>& matchers)
      ABSL_LOCKS_EXCLUDED(index_mutex_);

  /// Forgets everything before `min_ms`, which is in blocks by now, and the
  /// series that are left without samples. Waits (a minute at most) for
  /// selections that may read what goes; what then still reads it ends with
  /// kAborted.
  void Truncate(std::int64_t min_ms) ABSL_LOCKS_EXCLUDED(index_mutex_);
  /// Refuses samples before `min_ms` from now on and waits for the appends
  /// under way: after that nothing is added to the time before.
  void CloseTimeBefore(std::int64_t min_ms);
  /// Keeps `object` as long as itself.
  void HoldAlive(std::shared_ptr<const void> object) {
    held_ = std::move(object);
  }
  /// Makes what is out of order ready to be written into blocks: all of it
  /// that appends under way have logged is given by SelectSealed, until
  /// DropSealed forgets it.
  void SealOutOfOrder();
  /// The sealed samples inside `range` that are not deleted, in chunks that do
  /// not overlap.
  std::unique_ptr<storage::ChunkSeriesSet> SelectSealed(
      const storage::TimeRange& range) const ABSL_LOCKS_EXCLUDED(index_mutex_);
  /// The starts of the spans, multiples of `span_ms`, that they lie in.
  absl::StatusOr<std::set<std::int64_t>> SealedSpans(
      std::int64_t span_ms) const;
  void DropSealed();
  /// Bounds of the samples out of order, perhaps wider than they are; empty
  /// (the minimum above the maximum) when there are none.
  storage::TimeRange out_of_order_range() const {
    return {out_of_order_min_.load(), out_of_order_max_.load()};
  }
  bool has_out_of_order() const {
    return out_of_order_min_.load() <= out_of_order_max_.load();
  }

  /// Moves the full chunks on the heap into `files`, which must live as long
  /// as the head. On an error those not moved stay on the heap. Not to
  /// be called together with itself or Truncate.
  absl::Status MoveFullChunks(HeadChunkFiles& files);
  /// Likewise those of samples out of order, of which markers go into their
  /// log: who loads the files need not replay what came before.
  absl::Status MoveOutOfOrderChunks(HeadChunkFiles& files);
  /// Samples before this are refused, and read from blocks.
  void SetMinValidTime(std::int64_t min_ms);
  std::int64_t min_valid_time() const { return min_valid_time_.load(); }

  /// The series of these labels, if there is one.
  std::optional<SeriesId> Find(const model::Labels& labels) const
      ABSL_LOCKS_EXCLUDED(index_mutex_);

  /// For a snapshot of memory, once nothing is appended any more: waits for
  /// appends under way and closes all chunks but the newest of each series.
  /// MoveFullChunks is to follow.
  void PrepareSnapshot();
  /// Gives the records of a shard's series to `put`, some at a time.
  using PutRecords =
      std::function<absl::Status(const std::vector<std::string>& records)>;
  absl::Status SnapshotShard(std::uint32_t shard, const PutRecords& put) const
      ABSL_LOCKS_EXCLUDED(index_mutex_);
  Tombstones tombstones() const ABSL_LOCKS_EXCLUDED(tombstones_mutex_);
  /// All exemplars of series in the head, oldest first.
  std::vector<RefExemplar> ListExemplars() const
      ABSL_LOCKS_EXCLUDED(index_mutex_);
  /// The highest number that a series ever had.
  SeriesId last_id() const ABSL_LOCKS_EXCLUDED(index_mutex_);
  /// Numbers up to `id` are not given to new series.
  void RaiseLastId(SeriesId id) ABSL_LOCKS_EXCLUDED(index_mutex_);

  /// Bounds of the samples; min_time may be lower than the first one.
  std::int64_t min_time() const { return min_time_.load(); }
  std::int64_t max_time() const { return max_time_.load(); }
  bool empty() const { return min_time() == kNoMinTime; }
  /// The time of the first sample; kNoMinTime without any. Walks all series.
  std::int64_t FirstSampleTime() const;

  std::size_t series_count() const ABSL_LOCKS_EXCLUDED(index_mutex_);
  /// Whether no limit of series is near.
  bool HasRoomForSeries() const { return limit_.HasRoom(series_count()); }
  /// Whether a series was refused since there last was room for more.
  bool RefusedForWantOfRoom() const {
    return limit_.RefusedForWantOfRoom(series_count());
  }
  bool HasSeries(storage::SeriesRef ref) const
      ABSL_LOCKS_EXCLUDED(index_mutex_);
  /// Series whose last sample is a staleness marker.
  std::int64_t stale_series_count() const { return stale_series_.load(); }
  std::int64_t chunk_count() const { return chunks_.load(); }
  /// Bytes that the parts take; estimated.
  struct Memory {
    LabelIndex::Memory index;
    std::size_t series = 0;      ///< Their records.
    std::size_t samples = 0;     ///< Chunks that are not in files.
    std::size_t histograms = 0;  ///< Likewise of native histograms.

    std::size_t total() const {
      return index.labels + index.postings + index.hashes + series + samples +
             histograms;
    }
  };
  Memory memory() const ABSL_LOCKS_EXCLUDED(index_mutex_);
  /// Series whose last sample in order is a native histogram, and the positive
  /// and negative buckets of these samples.
  struct LastHistograms {
    std::size_t series = 0;
    std::size_t buckets = 0;
  };
  LastHistograms last_histograms() const;
  /// Appends that have begun, and that have ended.
  std::uint64_t appends_begun() const { return appends_begun_.load(); }
  std::uint64_t appends_ended() const { return appends_ended_.load(); }
  /// Calls `visit` with the index, which must not be kept.
  template <typename Visit>
  void WithIndex(const Visit& visit) const {
    base::ReaderMutexLock lock(index_mutex_);
    visit(static_cast<const LabelIndex&>(index_));
  }

  /// For replay, before the head is used otherwise. Returns the reference
  /// under which these labels, whose hash is given, are known, which is another
  /// one when they were declared before or the reference cannot be kept; 0
  /// without labels.
  /// kResourceExhausted when the series is new and the head took all of the
  /// memory budget when it was last measured.
  absl::StatusOr<storage::SeriesRef> ReplaySeries(const RefSeries& series,
                                                  std::uint64_t hash)
      ABSL_LOCKS_EXCLUDED(index_mutex_);
  /// Declares in the log the series that got other references: after the
  /// replay, before appends.
  absl::Status DeclareRenumbered() ABSL_LOCKS_EXCLUDED(index_mutex_);
  /// Measures the memory that the budget leaves to a replay.
  void MeasureReplayed() ABSL_LOCKS_EXCLUDED(index_mutex_);
  const SeriesBounds& bounds() const { return limit_.bounds(); }
  /// Forgets series that have no samples, but those made since the last time.
  void ForgetUnused() ABSL_LOCKS_EXCLUDED(index_mutex_);
  /// The samples of one record of the log.
  struct ReplayRecord {
    absl::Span<const RefSample> samples;
    absl::Span<const std::int64_t> starts_ms;  ///< As in AppendBatch.
    absl::Span<const RefHistogram> histograms;
    ByShard samples_by_shard;
    ByShard histograms_by_shard;
  };
  /// Applies those of one shard without logging them; returns how many
  /// references were unknown. Samples before min_valid_time and out of order
  /// are left out. For different shards by several threads at once.
  std::size_t ReplayShard(std::uint32_t shard, const ReplayRecord& record);
  /// Likewise samples that came out of order, of any time and all shards.
  std::size_t ReplayOutOfOrder(absl::Span<const RefSample> samples,
                               absl::Span<const std::int64_t> starts_ms,
                               absl::Span<const RefHistogram> histograms);
  /// The times inside `range` that a series has samples out of order of,
  /// ascending, perhaps with repetitions.
  absl::StatusOr<std::vector<std::int64_t>> OutOfOrderTimes(
      SeriesId id, const storage::TimeRange& range) const;
  std::size_t ReplayExemplars(absl::Span<const RefExemplar> exemplars);
  /// What a snapshot and the files of full chunks have of a series.
  struct StoredSeries {
    SeriesId id = 0;
    storage::Chunk newest;             ///< Perhaps without bytes: none.
    std::vector<storage::Chunk> full;  ///< In files; ascending, disjoint.
  };
  /// Puts them into the series of one shard, which are declared and have no
  /// samples. kDataLoss when a chunk cannot be decoded.
  absl::Status RestoreShard(std::uint32_t shard,
                            absl::Span<const StoredSeries> stored);
  /// The time of a series' last sample in order; model::kMinTime without any.
  std::int64_t LastTimeOf(SeriesId id) const;
  void ReplayTombstone(const RefTombstone& tombstone)
      ABSL_LOCKS_EXCLUDED(tombstones_mutex_);

 private:
  class SeriesSet;
  class SampleSet;

  static constexpr std::uint32_t kShards = ByShard::kShards;
  struct Shard {
    mutable base::Mutex mutex;
    PagedArray<MemSeries> series ABSL_GUARDED_BY(mutex);
    OutOfOrderTable out_of_order ABSL_GUARDED_BY(mutex);
    // Of the series' samples.
    SampleArena blocks ABSL_GUARDED_BY(mutex);
    HistogramTable histograms ABSL_GUARDED_BY(mutex);
    StartTable starts ABSL_GUARDED_BY(mutex);
    // Those that got a full chunk since chunks were last moved.
    std::vector<SeriesId> cut ABSL_GUARDED_BY(mutex);
  };
  static std::uint32_t ShardOf(SeriesId id) { return ByShard::ShardOf(id); }

  struct Batch;  // Of samples being appended.
  // What shards took.
  struct Applied {
    std::int64_t oldest = kNoMinTime;
    std::int64_t newest = kNoMaxTime;
    std::size_t samples = 0;
    std::size_t histograms = 0;
    storage::TimeRange out_of_order{kNoMinTime, kNoMaxTime};
    // Out of order.
    std::size_t inserted = 0;
    std::size_t inserted_histograms = 0;
    std::size_t chunks = 0;
    std::int64_t stale = 0;
    std::size_t unknown = 0;  // References; of a replay.
  };
  class SealedSet;
  // What an append may bring; fixed when it begins.
  struct Limits {
    std::int64_t newest_ms;      // Of the head.
    std::int64_t in_order_from;  // Before: only out of order.
    std::int64_t window_ms;      // Of samples out of order; 0: none.
  };
  // What becomes of a sample.
  enum class Fate : std::uint8_t {
    kAppended,
    kInserted,  // Out of order.
    kSame,
    kDuplicate,
    kOutOfOrder,
    kOutOfBounds,
    kTooOld,
  };
  // A series found by a selection, and up to when it is seen.
  struct Selected {
    SeriesId id;
    // Which of the selection's chunks out of order are its; 0: none, else the
    // position plus one.
    std::uint32_t out_of_order;
    std::int64_t visible_ms;
    double newest = 0;  // The sample at that time.
    // All of its samples in order are floats, held by its MemSeries.
    bool only_floats = false;
    bool has_starts = false;
  };
  // As they were at the moment of the selection.
  using ChunkLists = std::vector<std::vector<storage::Chunk>>;

  Limits LimitsOfAppend(std::int64_t first_ms);
  static Fate Judge(const RefSample& sample, const MemSeries& series,
                    const HistogramTable& table, const MemSeries::Arena& blocks,
                    const Limits& limits);
  static Fate Judge(const RefHistogram& sample, const MemSeries& series,
                    const HistogramTable& table, const MemSeries::Arena& blocks,
                    const Limits& limits);
  // What becomes of a sample of that time, given what its series says.
  static Fate FateOf(MemSeries::Verdict verdict, std::int64_t timestamp_ms,
                     const Limits& limits);
  static storage::RejectReason ReasonOf(Fate fate);
  void Check(Batch& batch) const;
  absl::Status LogBatch(const Batch& batch, const AppendBatch& all) const;
  absl::Status LogOutOfOrder(const StartingSamples& samples,
                             const std::vector<RefHistogram>& histograms) const;
  void EncodeOthers(const Batch& batch, const AppendBatch& all,
                    std::vector<std::string>* records) const;
  void EncodeDeclarations(const Batch& batch, std::string* record) const
      ABSL_LOCKS_EXCLUDED(index_mutex_);
  void EncodeDeclarations(absl::Span<const SeriesId> undeclared,
                          std::string* record) const
      ABSL_LOCKS_EXCLUDED(index_mutex_);
  absl::StatusOr<SeriesId> NextId() ABSL_EXCLUSIVE_LOCKS_REQUIRED(index_mutex_);
  void Apply(Batch& batch);
  void ApplyToShard(Shard& shard, absl::Span<const std::uint32_t> indices,
                    Batch& batch, Applied& applied);
  bool ApplyOne(std::uint32_t index, MemSeries* series, Shard& shard,
                Batch& batch, Applied& applied)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  // For a RefSample or RefHistogram.
  template <typename Sample>
  void InsertOne(const Sample& sample, std::int64_t start_ms, Shard& shard,
                 Applied& applied) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  // Notes when the counter behind a sample that was appended began.
  static void NoteStart(SeriesId id, std::int64_t timestamp_ms,
                        std::int64_t start_ms, MemSeries& series, Shard& shard)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  // Likewise of the samples of a chunk that was added.
  absl::Status NoteStarts(SeriesId id, const storage::Chunk& chunk,
                          MemSeries& series, Shard& shard)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  // Whether the start times in chunks of this encoding are of interest.
  bool KeepsStarts(storage::Encoding encoding) const;
  // Brings chunks into the encoding in which blocks are to have them.
  absl::Status EncodeForBlock(std::vector<storage::Chunk>* chunks) const;
  // Null when the series has none.
  static const StartRuns* StartsOf(const StartTable& table, SeriesId id,
                                   const MemSeries& series);
  // Appends what was found to be new; the first gives true when a chunk became
  // full.
  bool AppendFloat(const RefSample& sample, std::int64_t start_ms,
                   MemSeries& series, Shard& shard, Applied& applied)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  void AppendHistogram(const RefHistogram& sample, MemSeries& series,
                       Shard& shard, Applied& applied)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  // Makes known what shards took.
  void Publish(const Applied& applied);
  bool ReplayFloat(const RefSample& sample, std::int64_t start_ms,
                   MemSeries* series, Shard& shard, std::int64_t min_valid_ms,
                   Applied& applied) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  void ReplayHistogram(RefHistogram sample, Shard& shard,
                       std::int64_t min_valid_ms, Applied& applied)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  absl::Status RestoreSeries(const StoredSeries& stored, MemSeries& series,
                             Shard& shard, Applied& applied)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  absl::Status RestoreFull(const StoredSeries& stored, MemSeries& series,
                           Shard& shard)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  absl::Status RestoreNewest(const StoredSeries& stored, MemSeries& series,
                             Shard& shard)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  void LogLate(const Batch& batch) const;
  void LogMoved(const std::vector<RefTombstone>& moved) const;
  // Null when the series has no histograms.
  static const HistogramSeries* HistogramsOf(const HistogramTable& table,
                                             SeriesId id,
                                             const MemSeries& series);
  // Of all samples of a series.
  static storage::TimeRange RangeOf(const HistogramTable& table,
                                    const MemSeries::Arena& blocks, SeriesId id,
                                    const MemSeries& series);
  // The time of a series' last sample, when its samples reach into `range`.
  static std::optional<std::int64_t> LastWithin(const storage::TimeRange& range,
                                                const HistogramTable& table,
                                                const MemSeries::Arena& blocks,
                                                SeriesId id,
                                                const MemSeries& series);
  // Whether a chunk of the series overlaps `range`, and not all of it is
  // deleted.
  static bool HasChunkWithin(const storage::TimeRange& range,
                             const Intervals* deleted, const Shard& shard,
                             SeriesId id, const MemSeries& series)
      ABSL_SHARED_LOCKS_REQUIRED(shard.mutex);
  // Whether the last sample of a series is a staleness marker.
  static bool IsStale(const HistogramTable& table,
                      const MemSeries::Arena& blocks, SeriesId id,
                      const MemSeries& series) {
    if (!series.has_histograms()) return series.stale();
    return MixedSeries(blocks, series, HistogramsOf(table, id, series)).stale();
  }
  // Checks a float of a series that has histograms.
  static MemSeries::Verdict CheckBeside(const HistogramTable& table,
                                        const MemSeries::Arena& blocks,
                                        const MemSeries& series,
                                        const RefSample& sample);
  // Takes a float that ends a series of histograms for one of these.
  static bool EndsHistograms(const HistogramTable& table,
                             const MemSeries::Arena& blocks,
                             const MemSeries& series, const RefSample& sample,
                             std::size_t number, HistogramBatch* histograms);
  void NoteLateness(std::int64_t timestamp_ms, const Limits& limits) const;
  void CheckHistograms(const Limits& limits, HistogramBatch* histograms) const;
  void ApplyHistograms(const Limits& limits, HistogramBatch* histograms,
                       Applied& applied);
  // Leaves in `*taken` those that may be added.
  void CheckExemplars(absl::Span<const RefExemplar> exemplars,
                      std::size_t first, std::vector<std::size_t>* taken,
                      std::vector<storage::Rejection>* rejected) const
      ABSL_LOCKS_EXCLUDED(index_mutex_);
  void AddExemplars(absl::Span<const RefExemplar> exemplars,
                    const std::vector<std::size_t>& taken)
      ABSL_LOCKS_EXCLUDED(index_mutex_);

  void ExtendTimes(std::int64_t min_ms, std::int64_t max_ms);
  void ExtendOutOfOrderTimes(const storage::TimeRange& range);
  absl::Status Store(Batch& batch, const AppendBatch& all);
  void CountRejections(TsdbMetrics::SampleKind& kind,
                       const std::vector<storage::Rejection>& rejected);

  absl::StatusOr<Postings> FindSeries(
      const std::vector<model::Matcher>& matchers) const
      ABSL_LOCKS_EXCLUDED(index_mutex_);
  // Calls `visit(shard, id, series)` for each that is there, its shard locked.
  // Not analysed: the lock that a lambda requires is not known to be this one.
  template <typename Visit>
  void ForEachOf(const Postings& ids,
                 const Visit& visit) const ABSL_NO_THREAD_SAFETY_ANALYSIS {
    for (std::size_t i = 0; i < ids.size();) {
      // Neighbours of one page share a shard, hence its lock.
      const Shard& shard = shards_[ShardOf(ids[i])];
      const std::uint32_t page = PagedArray<MemSeries>::PageOf(ids[i]);
      base::ReaderMutexLock lock(shard.mutex);
      PagedArray<MemSeries>::Cursor cursor(shard.series);
      for (; i < ids.size() && PagedArray<MemSeries>::PageOf(ids[i]) == page;
           ++i) {
        const MemSeries* series = cursor.Find(ids[i]);
        if (series != nullptr) visit(shard, ids[i], *series);
      }
    }
  }
  std::vector<Selected> Measure(const Postings& ids,
                                const storage::TimeRange& in_order,
                                const storage::TimeRange& out_of_order,
                                ChunkLists* chunks) const;
  // Of some series at a time.
  struct ReadBatch;
  absl::Status ReadSamples(absl::Span<const Selected> selected,
                           const storage::SelectHints& hints,
                           ReadBatch* batch) const
      ABSL_LOCKS_EXCLUDED(index_mutex_);
  absl::Status ReadSeries(const Selected& selected,
                          const storage::TimeRange& range, Edges edges,
                          storage::ChunkSeries* series) const
      ABSL_LOCKS_EXCLUDED(index_mutex_);
  // Adds chunks out of order to what ReadSeries gave.
  absl::Status AddOutOfOrder(SeriesId id, std::vector<storage::Chunk> added,
                             storage::ChunkSeries* series) const;
  Intervals DeletedOf(SeriesId id) const ABSL_LOCKS_EXCLUDED(tombstones_mutex_);
  Tombstones DeletedOf(const Postings& ids) const
      ABSL_LOCKS_EXCLUDED(tombstones_mutex_);

  // Selections under way, each with the earliest time it reads.
  std::uint64_t BeginReading(storage::TimeRange* range) const
      ABSL_LOCKS_EXCLUDED(readers_mutex_);
  void EndReading(std::uint64_t reader) const
      ABSL_LOCKS_EXCLUDED(readers_mutex_);
  void WaitForReaders(std::int64_t min_ms) ABSL_LOCKS_EXCLUDED(readers_mutex_);
  bool WaitForReadersUnderWay() ABSL_LOCKS_EXCLUDED(readers_mutex_);
  absl::StatusOr<std::unique_ptr<storage::ChunkSeriesSet>> SelectIds(
      storage::TimeRange range, const Postings& ids, Edges edges,
      bool any_order = false) const ABSL_LOCKS_EXCLUDED(index_mutex_);

  absl::Status MoveChunksOf(Shard& shard, absl::Span<const SeriesId> ids,
                            HeadChunkFiles& files);
  absl::Status MoveOutOfOrderOf(Shard& shard, HeadChunkFiles& files);
  absl::Status LogMarkers(Shard& shard,
                          const std::vector<RefMmapMarker>& markers);
  Postings CollectGarbage(std::int64_t min_ms);
  void RemoveSeries(const Postings& candidates)
      ABSL_LOCKS_EXCLUDED(index_mutex_);
  // Of so many series that go. In parts, so that selections and new series get
  // their turn between; not too many, for each goes through all postings of the
  // labels concerned.
  static std::size_t RemovedAtOnce(std::size_t series);
  // Adds which of them left to `*moved`.
  void ForgetSome(absl::Span<const StaleSeries> stale,
                  std::vector<RefTombstone>* moved)
      ABSL_LOCKS_EXCLUDED(index_mutex_, tombstones_mutex_);
  void RemoveSome(absl::Span<const SeriesId> candidates)
      ABSL_LOCKS_EXCLUDED(index_mutex_);
  void TruncateTombstones(std::int64_t min_ms)
      ABSL_LOCKS_EXCLUDED(tombstones_mutex_);

  const HeadOptions options_;
  SeriesLimit& limit_;
  const base::Logger logger_;
  TsdbMetrics& metrics_;
  Wal* wal_ = nullptr;
  std::atomic<Wal*> wbl_{nullptr};
  std::atomic<std::int64_t> out_of_order_window_ms_{0};
  ExemplarStore* exemplars_ = nullptr;
  // Destroyed after the series.
  std::shared_ptr<const void> held_;

  // Locked before a shard's.
  mutable base::Mutex index_mutex_;
  LabelIndex index_ ABSL_GUARDED_BY(index_mutex_);
  SeriesId last_id_ ABSL_GUARDED_BY(index_mutex_) = 0;
  // Those that a replay could not keep under their reference.
  Postings renumbered_ ABSL_GUARDED_BY(index_mutex_);
  // What the head took when that was last measured in a replay.
  std::atomic<std::uint64_t> replayed_bytes_{0};

  std::array<Shard, kShards> shards_;
  mutable ApplyGate gate_;
  // Passed by appends as a whole; measured to wait for those under way.
  ApplyGate append_gate_;

  std::atomic<std::int64_t> min_time_{kNoMinTime};
  std::atomic<std::int64_t> max_time_{kNoMaxTime};
  std::atomic<std::int64_t> min_valid_time_{
      std::numeric_limits<std::int64_t>::min()};
  // Appends before this are refused; not below min_valid_time_.
  std::atomic<std::int64_t> closed_before_{
      std::numeric_limits<std::int64_t>::min()};
  // Up to here samples are gone from memory.
  std::atomic<std::int64_t> truncated_to_{
      std::numeric_limits<std::int64_t>::min()};

  std::atomic<bool> xor2_blocks_{false};

  // Of the samples out of order.
  std::atomic<std::int64_t> out_of_order_min_{kNoMinTime};
  std::atomic<std::int64_t> out_of_order_max_{kNoMaxTime};

  std::atomic<std::uint64_t> appends_begun_{0};
  std::atomic<std::uint64_t> appends_ended_{0};
  std::atomic<std::int64_t> stale_series_{0};
  std::atomic<std::int64_t> chunks_{0};

  mutable base::Mutex tombstones_mutex_;
  Tombstones tombstones_ ABSL_GUARDED_BY(tombstones_mutex_);

  mutable base::Mutex readers_mutex_;
  mutable base::CondVar reader_left_;
  mutable std::uint64_t last_reader_ ABSL_GUARDED_BY(readers_mutex_) = 0;
  mutable std::map<std::uint64_t, std::int64_t> readers_
      ABSL_GUARDED_BY(readers_mutex_);
};

}  // namespace narthex::tsdb
