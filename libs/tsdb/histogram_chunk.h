#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/model/histogram.h"
#include "libs/model/sample.h"
#include "libs/storage/storage.h"
#include "libs/tsdb/bits.h"
#include "libs/tsdb/histogram_counts.h"
#include "libs/tsdb/stored_sample.h"

namespace narthex::tsdb {

/// Where a histogram chunk stands after a sample: all that the next one is
/// encoded against.
template <typename Counts>
struct HistogramChunkState {
  model::HistogramLayout layout;
  std::size_t positive_buckets = 0;
  Counts counts;
  std::int64_t timestamp_ms = 0;
  std::uint64_t delta_ms = 0;
};

/// A chunk of native histograms in Prometheus's bit layout, with at least one
/// sample. Its samples share schema, zero threshold and custom bounds, and no
/// counter reset lies between them. Its bytes are whole and decodable after
/// every append. Use it as HistogramChunk or FloatHistogramChunk. Not
/// thread-safe.
template <typename Counts>
class BasicHistogramChunk {
 public:
  using Histogram = typename Counts::Histogram;

  /// Begins a chunk with a sample. Whether its counter was reset is told by
  /// comparing it with `before`, the chunk that precedes this one without a
  /// gap, or is unknown without it. Requires: `sample` is valid.
  BasicHistogramChunk(std::int64_t timestamp_ms, const Histogram& sample,
                      const BasicHistogramChunk* before = nullptr);

  /// Goes on with a chunk that was written before; the bytes are copied.
  /// kDataLoss when they cannot be decoded, hold no sample or name buckets out
  /// of order.
  static absl::StatusOr<BasicHistogramChunk> Resume(absl::string_view bytes);

  /// Appends a sample. If it cannot be in this chunk (counter reset; another
  /// schema, zero threshold, custom bounds or kind; the last sample was a
  /// staleness marker), this chunk is left as it is and the result is the one
  /// that follows, begun with the sample. New buckets are fine: the chunk is
  /// encoded anew with them. When to begin a chunk for its size is the
  /// caller's choice. Requires: a valid sample after the last one, and count()
  /// below kMaxSamplesPerChunk.
  std::optional<BasicHistogramChunk> Append(std::int64_t timestamp_ms,
                                            const Histogram& sample);

  int count() const { return count_; }
  absl::string_view bytes() const { return out_.bytes(); }
  std::int64_t min_ms() const { return min_ms_; }
  std::int64_t max_ms() const { return state_.timestamp_ms; }
  /// What the header says of the counter before the first sample; kGauge when
  /// there is no counter.
  model::CounterReset counter_reset() const { return reset_; }
  /// The last sample; a stale one has no layout and no counts.
  Histogram last() const;
  std::size_t allocated_bytes() const { return out_.allocated_bytes(); }
  void ShrinkToFit() { out_.ShrinkToFit(); }

 private:
  /// How a sample relates to what is in the chunk.
  struct Fit {
    bool fits = false;
    /// Of the chunk that the sample begins if it does not fit.
    model::CounterReset reset = model::CounterReset::kUnknown;
    /// There are buckets that only the other has.
    bool chunk_lacks = false;
    bool sample_lacks_positive = false;
    bool sample_lacks_negative = false;
  };

  BasicHistogramChunk() = default;
  /// Begins with a sample and a known header.
  BasicHistogramChunk(std::int64_t timestamp_ms, const Histogram& sample,
                      model::CounterReset reset);

  Fit Compare(const Histogram& sample) const;
  void CompareBuckets(const Histogram& sample, Fit* fit) const;
  void Start(std::int64_t timestamp_ms, const Histogram& given);
  void Write(std::int64_t timestamp_ms, const Histogram& sample);
  void SetHeader();
  /// Encodes all anew with more buckets.
  void Widen(const std::vector<model::BucketSpan>& positive,
             const std::vector<model::BucketSpan>& negative);

  HistogramChunkState<Counts> state_;
  BitWriter out_;
  std::int64_t min_ms_ = 0;
  int count_ = 0;
  model::CounterReset reset_ = model::CounterReset::kUnknown;
};

extern template class BasicHistogramChunk<IntCounts>;
extern template class BasicHistogramChunk<FloatCounts>;

/// Of encoding kHistogram.
using HistogramChunk = BasicHistogramChunk<IntCounts>;
/// Of encoding kFloatHistogram.
using FloatHistogramChunk = BasicHistogramChunk<FloatCounts>;

/// Appends the samples of a histogram chunk inside `range` to `*out`, with
/// integer or float counts as the encoding has them. Of the first sample it
/// is unknown whether its counter was reset: the chunk before may be gone.
/// kDataLoss for corrupt bytes; `*out` is then as before.
absl::Status DecodeHistogramChunk(storage::Encoding encoding,
                                  absl::string_view bytes,
                                  const storage::TimeRange& range,
                                  std::vector<StoredSample>* out);

/// Likewise with all counts as floats; stale histograms become stale floats.
absl::Status DecodeHistogramChunk(storage::Encoding encoding,
                                  absl::string_view bytes,
                                  const storage::TimeRange& range,
                                  model::SampleColumns* out);

}  // namespace narthex::tsdb
