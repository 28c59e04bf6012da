#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "libs/model/histogram.h"
#include "libs/storage/storage.h"
#include "libs/tsdb/head_chunk_files.h"
#include "libs/tsdb/histogram_chunk.h"
#include "libs/tsdb/mem_series.h"
#include "libs/tsdb/postings.h"

namespace narthex::tsdb {

/// The native histograms of one series in the head: full chunks and the one
/// that grows. Its float samples, if it has any, are in a MemSeries. Not
/// thread-safe.
class HistogramSeries {
 public:
  bool empty() const { return chunk_count() == 0; }
  /// Of the first and last sample. Require: not empty.
  std::int64_t min_ms() const;
  std::int64_t max_ms() const { return max_ms_; }
  /// Whether the last sample is a staleness marker.
  bool stale() const { return stale_; }
  /// Whether the last sample has integer counts.
  bool last_is_integer() const { return open_.index() == 1; }

  MemSeries::Verdict Check(std::int64_t timestamp_ms,
                           const model::HistogramValue& value) const;
  /// Requires the verdict kNew and a valid histogram. True when a chunk was
  /// begun.
  bool Append(std::int64_t timestamp_ms, const model::HistogramValue& value,
              const ChunkRules& rules);
  /// The next sample begins a chunk, for one of another kind comes between.
  void EndChunk() { ended_ = true; }
  /// Makes the chunk that grows, if there is one, a full one. True when there
  /// was one.
  bool CloseChunk();
  /// Adds a full chunk that is held elsewhere. Requires: it comes after all
  /// samples, and none is on the heap. kDataLoss when it is corrupt.
  absl::Status AddMapped(storage::Chunk mapped);
  /// Goes on with a copy of `chunk`. Requires: likewise, it was begun under
  /// `rules` and its encoding is one without start times.
  absl::Status Resume(const storage::Chunk& chunk, const ChunkRules& rules);

  std::size_t chunk_count() const;
  /// Positive and negative buckets of the last sample.
  std::size_t last_bucket_count() const;
  std::size_t heap_bytes() const;
  /// The full chunks that are on the heap, ascending.
  absl::Span<const storage::Chunk> heap_chunks() const {
    return absl::MakeConstSpan(full_).subspan(mapped_);
  }
  bool has_heap_chunks() const { return mapped_ < full_.size(); }
  /// Replaces the first of these by an equal one that is held elsewhere.
  void ReplaceHeapChunk(storage::Chunk mapped);
  /// Drops the chunks that end before `min_ms`; returns how many.
  std::size_t Truncate(std::int64_t min_ms);
  /// Appends copies of the chunks that overlap `range` to `*chunks`.
  void CopyChunks(const storage::TimeRange& range,
                  std::vector<storage::Chunk>* chunks) const;
  /// Appends the bounds of these chunks to `*bounds`.
  void ListChunks(const storage::TimeRange& range,
                  std::vector<storage::TimeRange>* bounds) const;

 private:
  template <typename Chunk, typename Histogram>
  bool AppendTo(std::int64_t timestamp_ms, const Histogram& value,
                const ChunkRules& rules);
  template <typename Chunk>
  absl::Status ResumeAs(const storage::Chunk& chunk);
  bool MustCut(std::int64_t timestamp_ms, int count, std::size_t bytes,
               std::int64_t min_ms, const ChunkRules& rules);
  // Moves the open chunk, if there is one, to the full ones.
  void Cut();
  // What `use(chunk)` says of the open chunk; `Result()` without one.
  template <typename Result, typename Use>
  Result WithOpen(const Use& use) const;
  storage::Chunk OpenAsFull() const;
  std::int64_t OpenMin() const;

  std::variant<std::monostate, HistogramChunk, FloatHistogramChunk> open_;
  std::vector<storage::Chunk> full_;  // Ascending.
  std::size_t mapped_ = 0;            // So many of them, from the first.
  std::int64_t max_ms_ = 0;
  // When the open chunk ends at the latest.
  std::int64_t next_at_ms_ = 0;
  // That was computed from how dense its samples are.
  bool end_predicted_ = false;
  bool ended_ = false;
  bool stale_ = false;
};

/// Both kinds of samples of one series, of which it has one or the other at a
/// time.
class MixedSeries {
 public:
  /// `histograms` may be null.
  MixedSeries(const MemSeries::Arena& arena, const MemSeries& floats,
              const HistogramSeries* histograms)
      : arena_(arena), floats_(floats), histograms_(histograms) {}

  /// The minimum is above the maximum when there is no sample.
  storage::TimeRange range() const;
  bool histogram_is_last() const;
  /// Whether the last sample is a staleness marker.
  bool stale() const;

  /// Of another kind than the last one, a sample must be newer.
  MemSeries::Verdict Check(std::int64_t timestamp_ms, double value) const;
  MemSeries::Verdict Check(std::int64_t timestamp_ms,
                           const model::HistogramValue& value) const;

 private:
  MemSeries::Verdict CheckOther(std::int64_t timestamp_ms) const;

  const MemSeries::Arena& arena_;
  const MemSeries& floats_;
  const HistogramSeries* const histograms_;
};

/// Those series of a shard that have native histograms: few, or small beside
/// what their histograms stand for.
using HistogramTable = absl::flat_hash_map<SeriesId, HistogramSeries>;

}  // namespace narthex::tsdb
