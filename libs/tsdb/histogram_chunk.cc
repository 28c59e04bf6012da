#include "libs/tsdb/histogram_chunk.h"

#include <utility>

#include "libs/base/status.h"
#include "libs/tsdb/histogram_chunk_reader.h"
#include "libs/tsdb/histogram_layout.h"

namespace narthex::tsdb {
namespace {

using model::BucketSpan;
using model::CounterReset;
using storage::Encoding;

/// The two bits of a chunk's header, which are not the enum's numbers.
std::uint8_t HeaderBits(CounterReset reset) {
  switch (reset) {
    case CounterReset::kUnknown:
      return 0b00;
    case CounterReset::kReset:
      return 0b10;
    case CounterReset::kNotReset:
      return 0b01;
    case CounterReset::kGauge:
      return 0b11;
  }
  return 0b00;
}

template <typename Counts>
constexpr Encoding EncodingOf();
template <>
constexpr Encoding EncodingOf<IntCounts>() {
  return Encoding::kHistogram;
}
template <>
constexpr Encoding EncodingOf<FloatCounts>() {
  return Encoding::kFloatHistogram;
}

/// Finds out which buckets only one of both has. False when a bucket that
/// counted something fell or is gone.
template <typename Count>
bool CompareSides(const std::vector<BucketSpan>& old_spans,
                  const std::vector<Count>& old_counts,
                  const std::vector<BucketSpan>& new_spans,
                  const std::vector<Count>& new_counts, bool gauge,
                  bool* old_lacks, bool* new_lacks) {
  BucketIndexes older(old_spans);
  BucketIndexes newer(new_spans);
  std::size_t i = 0;
  std::size_t j = 0;
  while (!older.done() || !newer.done()) {
    const bool both =
        !older.done() && !newer.done() && older.index() == newer.index();
    if (both) {
      if (!gauge && new_counts[j] < old_counts[i]) return false;
      older.Next(), ++i;
      newer.Next(), ++j;
    } else if (newer.done() ||
               (!older.done() && older.index() < newer.index())) {
      if (!gauge && old_counts[i] != 0) return false;
      *new_lacks = true;
      older.Next(), ++i;
    } else {
      *old_lacks = true;
      newer.Next(), ++j;
    }
  }
  return true;
}

}  // namespace

template <typename Counts>
BasicHistogramChunk<Counts>::BasicHistogramChunk(std::int64_t timestamp_ms,
                                                 const Histogram& sample,
                                                 CounterReset reset)
    : reset_(reset) {
  Start(timestamp_ms, sample);
}

template <typename Counts>
BasicHistogramChunk<Counts>::BasicHistogramChunk(
    std::int64_t timestamp_ms, const Histogram& sample,
    const BasicHistogramChunk* before) {
  if (sample.counter_reset == CounterReset::kGauge ||
      sample.counter_reset == CounterReset::kReset) {
    reset_ = sample.counter_reset;
  } else if (before != nullptr) {
    reset_ = before->Compare(sample).reset;
  }
  Start(timestamp_ms, sample);
}

template <typename Counts>
absl::StatusOr<BasicHistogramChunk<Counts>> BasicHistogramChunk<Counts>::Resume(
    absl::string_view bytes) {
  HistogramChunkReader<Counts> reader(EncodingOf<Counts>(), bytes);
  NARTHEX_RETURN_IF_ERROR(reader.Open());
  if (reader.count() == 0) return CorruptHistogramChunk(bytes, "no samples");
  BasicHistogramChunk chunk;
  while (reader.Next()) {
    if (chunk.count_++ == 0) chunk.min_ms_ = reader.state().timestamp_ms;
  }
  NARTHEX_RETURN_IF_ERROR(reader.status());
  if (reader.crooked())
    return CorruptHistogramChunk(bytes, "buckets out of order");
  chunk.reset_ = reader.reset();
  chunk.out_ = BitWriter(bytes, reader.position());
  chunk.state_ = reader.TakeState();
  return chunk;
}

template <typename Counts>
std::optional<BasicHistogramChunk<Counts>> BasicHistogramChunk<Counts>::Append(
    std::int64_t timestamp_ms, const Histogram& sample) {
  const Fit fit = Compare(sample);
  if (!fit.fits) return BasicHistogramChunk(timestamp_ms, sample, fit.reset);
  const bool sample_lacks =
      fit.sample_lacks_positive || fit.sample_lacks_negative;
  if (!sample_lacks && !fit.chunk_lacks) {
    Write(timestamp_ms, sample);
    return std::nullopt;
  }
  const model::HistogramLayout& layout = state_.layout;
  Histogram widened = sample;
  if (!fit.chunk_lacks) {
    SpreadTo(layout.positive_spans, layout.negative_spans, &widened);
  } else {
    // Spans stay as they came unless both sides bring buckets of their own.
    const bool gauge = reset_ == CounterReset::kGauge;
    if (fit.sample_lacks_positive || (gauge && sample_lacks)) {
      widened.positive_spans =
          UnionOfSpans(layout.positive_spans, sample.positive_spans);
    }
    if (fit.sample_lacks_negative || (gauge && sample_lacks)) {
      widened.negative_spans =
          UnionOfSpans(layout.negative_spans, sample.negative_spans);
    }
    const std::vector<BucketSpan> positive =
        std::exchange(widened.positive_spans, sample.positive_spans);
    const std::vector<BucketSpan> negative =
        std::exchange(widened.negative_spans, sample.negative_spans);
    SpreadTo(positive, negative, &widened);
    Widen(positive, negative);
  }
  Write(timestamp_ms, widened);
  return std::nullopt;
}

template <typename Counts>
typename BasicHistogramChunk<Counts>::Histogram
BasicHistogramChunk<Counts>::last() const {
  Histogram sample;
  if (model::IsStaleNan(state_.counts.sum())) {
    sample.sum = state_.counts.sum();
    return sample;
  }
  static_cast<model::HistogramLayout&>(sample) = state_.layout;
  state_.counts.CopyTo(state_.positive_buckets, &sample);
  return sample;
}

template <typename Counts>
typename BasicHistogramChunk<Counts>::Fit BasicHistogramChunk<Counts>::Compare(
    const Histogram& sample) const {
  Fit fit;
  const bool gauge = sample.counter_reset == CounterReset::kGauge;
  if (gauge) fit.reset = CounterReset::kGauge;
  if (gauge != (reset_ == CounterReset::kGauge)) return fit;
  if (sample.counter_reset == CounterReset::kReset) {
    fit.reset = CounterReset::kReset;
    return fit;
  }
  if (sample.stale()) {
    fit.fits = true;
    if (!gauge) fit.reset = CounterReset::kNotReset;
    return fit;
  }
  if (model::IsStaleNan(state_.counts.sum())) return fit;
  if (!gauge && state_.counts.CountFell(sample)) {
    fit.reset = CounterReset::kReset;
    return fit;
  }
  const model::HistogramLayout& layout = state_.layout;
  if (sample.schema != layout.schema ||
      sample.zero_threshold != layout.zero_threshold) {
    return fit;
  }
  if (sample.custom_bounds != layout.custom_bounds) {
    if (!gauge) fit.reset = CounterReset::kReset;
    return fit;
  }
  CompareBuckets(sample, &fit);
  if (!gauge) {
    fit.reset = fit.fits ? CounterReset::kNotReset : CounterReset::kReset;
  }
  return fit;
}

template <typename Counts>
void BasicHistogramChunk<Counts>::CompareBuckets(const Histogram& sample,
                                                 Fit* fit) const {
  const bool gauge = reset_ == CounterReset::kGauge;
  const model::HistogramLayout& layout = state_.layout;
  if (!gauge && state_.counts.ZeroCountFell(sample)) return;
  if (sample.positive_spans == layout.positive_spans &&
      sample.negative_spans == layout.negative_spans) {
    fit->fits = gauge || !state_.counts.AnyBucketFell(sample);
    return;
  }
  Histogram older;
  state_.counts.CopyTo(state_.positive_buckets, &older);
  fit->fits = CompareSides(layout.positive_spans, PositiveCounts(older),
                           sample.positive_spans, PositiveCounts(sample), gauge,
                           &fit->chunk_lacks, &fit->sample_lacks_positive) &&
              CompareSides(layout.negative_spans, NegativeCounts(older),
                           sample.negative_spans, NegativeCounts(sample), gauge,
                           &fit->chunk_lacks, &fit->sample_lacks_negative);
}

template <typename Counts>
void BasicHistogramChunk<Counts>::Start(std::int64_t timestamp_ms,
                                        const Histogram& given) {
  // Of a staleness marker nothing but the sum matters.
  Histogram stale;
  stale.sum = given.sum;
  const Histogram& sample = given.stale() ? stale : given;
  count_ = 1;
  min_ms_ = timestamp_ms;
  state_.timestamp_ms = timestamp_ms;
  static_cast<model::HistogramLayout&>(state_.layout) = sample;
  state_.layout.counter_reset = reset_ == CounterReset::kGauge
                                    ? CounterReset::kGauge
                                    : CounterReset::kUnknown;
  state_.positive_buckets = BucketCount(sample.positive_spans);
  out_.Bits(0, kHistogramHeaderBytes * 8);
  WriteHistogramLayout(state_.layout, &out_);
  out_.VarbitInt(timestamp_ms);
  state_.counts.WriteFirst(sample, &out_);
  SetHeader();
}

template <typename Counts>
void BasicHistogramChunk<Counts>::Write(std::int64_t timestamp_ms,
                                        const Histogram& sample) {
  const std::uint64_t delta = static_cast<std::uint64_t>(timestamp_ms) -
                              static_cast<std::uint64_t>(state_.timestamp_ms);
  out_.VarbitInt(static_cast<std::int64_t>(delta - state_.delta_ms));
  state_.delta_ms = delta;
  state_.timestamp_ms = timestamp_ms;
  state_.counts.WriteNext(sample, &out_);
  if (reset_ != CounterReset::kGauge) {
    state_.layout.counter_reset = CounterReset::kNotReset;
  }
  ++count_;
  SetHeader();
}

template <typename Counts>
void BasicHistogramChunk<Counts>::SetHeader() {
  out_.SetByte(0, static_cast<std::uint8_t>(count_ >> 8));
  out_.SetByte(1, static_cast<std::uint8_t>(count_ & 0xff));
  out_.SetByte(2, static_cast<std::uint8_t>(HeaderBits(reset_) << 6));
}

template <typename Counts>
void BasicHistogramChunk<Counts>::Widen(
    const std::vector<BucketSpan>& positive,
    const std::vector<BucketSpan>& negative) {
  BasicHistogramChunk widened;
  widened.reset_ = reset_;
  HistogramChunkReader<Counts> reader(EncodingOf<Counts>(), bytes());
  if (!reader.Open().ok()) return;
  while (reader.Next()) {
    Histogram sample = reader.template Sample<Histogram>();
    SpreadTo(positive, negative, &sample);
    if (widened.count_ == 0) {
      widened.Start(reader.state().timestamp_ms, sample);
    } else {
      widened.Write(reader.state().timestamp_ms, sample);
    }
  }
  *this = std::move(widened);
}

template class BasicHistogramChunk<IntCounts>;
template class BasicHistogramChunk<FloatCounts>;

}  // namespace narthex::tsdb
