#include "libs/tsdb/histogram_chunk.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/tsdb/chunk_header.h"
#include "libs/tsdb/histogram_layout.h"
#include "libs/tsdb/start_times.h"

namespace narthex::tsdb {
namespace {

using model::BucketSpan;
using model::CounterReset;
using storage::Encoding;

constexpr std::size_t kHeaderBytes = 3;
/// What the spans, bounds and buckets of a decoded chunk may take, in 8 bytes.
/// Real chunks stay far below it, but what all samples share, and empty spans,
/// cost next to nothing in a file.
constexpr std::size_t kMaxDecodedWords = std::size_t{32} << 20;

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

CounterReset ResetOfHeaderBits(int bits) {
  constexpr CounterReset kResets[] = {
      CounterReset::kUnknown, CounterReset::kNotReset, CounterReset::kReset,
      CounterReset::kGauge};
  return kResets[bits & 0b11];
}

absl::Status Corrupt(absl::string_view bytes, absl::string_view what) {
  return absl::DataLossError(absl::StrCat("histogram chunk of ", bytes.size(),
                                          " bytes is corrupt: ", what));
}

std::int64_t Sum(std::int64_t a, std::uint64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + b);
}

/// Reads the samples of a chunk one after the other. Usage:
///   NARTHEX_RETURN_IF_ERROR(reader.Open());
///   while (reader.Next()) Use(reader.state());
///   NARTHEX_RETURN_IF_ERROR(reader.status());
template <typename Counts>
class Reader {
 public:
  Reader(Encoding encoding, absl::string_view bytes)
      : bytes_(bytes),
        in_(bytes.substr(std::min(kHeaderBytes, bytes.size()))),
        with_starts_(HasStartTimes(encoding)) {}

  absl::Status Open() {
    if (bytes_.size() < kHeaderBytes) return Corrupt(bytes_, "no header");
    const auto first = static_cast<std::uint8_t>(bytes_[0]);
    const auto second = static_cast<std::uint8_t>(bytes_[1]);
    const auto third = static_cast<std::uint8_t>(bytes_[2]);
    if (with_starts_) {
      reset_ = ResetOfHeaderBits(first >> 6);
      count_ = static_cast<std::size_t>((first & 0x3f) << 8 | second);
      starts_ = StartTimes(third);
    } else {
      count_ = static_cast<std::size_t>(first << 8 | second);
      reset_ = ResetOfHeaderBits(third >> 6);
    }
    return absl::OkStatus();
  }

  bool Next() {
    if (!status_.ok() || next_ == count_) return false;
    status_ = next_ == 0 ? ReadFirst() : ReadNext();
    ++next_;
    return status_.ok();
  }

  const absl::Status& status() const { return status_; }
  bool crooked() const { return crooked_; }
  const HistogramChunkState<Counts>& state() const { return state_; }
  HistogramChunkState<Counts> TakeState() { return std::move(state_); }
  std::size_t count() const { return count_; }
  CounterReset reset() const { return reset_; }
  std::int64_t start_ms() const { return starts_.start_ms(); }
  /// In bits from the front of the chunk.
  std::size_t position() const { return kHeaderBytes * 8 + in_.position(); }

  /// Whether so many samples, decoded, take more memory than they may.
  absl::Status CheckMemory(std::size_t samples) const {
    if (samples * sample_words_ <= kMaxDecodedWords) return absl::OkStatus();
    return Corrupt(bytes_, "its samples are too large");
  }

  /// The sample that was read last.
  template <typename Histogram>
  Histogram Sample() const {
    Histogram sample;
    if (model::IsStaleNan(state_.counts.sum())) {
      sample.sum = state_.counts.sum();
      return sample;
    }
    static_cast<model::HistogramLayout&>(sample) = state_.layout;
    state_.counts.CopyTo(state_.positive_buckets, &sample);
    if (crooked_) Straighten(&sample);
    ReduceReservedSchema(&sample);
    return sample;
  }

 private:
  absl::Status ReadFirst() {
    const absl::Status layout = ReadHistogramLayout(&in_, &state_.layout);
    if (!layout.ok()) return Corrupt(bytes_, layout.message());
    state_.layout.counter_reset = reset_ == CounterReset::kGauge
                                      ? CounterReset::kGauge
                                      : CounterReset::kUnknown;
    crooked_ = IsCrooked(state_.layout.positive_spans) ||
               IsCrooked(state_.layout.negative_spans);
    state_.positive_buckets = BucketCount(state_.layout.positive_spans);
    const std::size_t buckets =
        state_.positive_buckets + BucketCount(state_.layout.negative_spans);
    if (buckets > in_.remaining()) return Corrupt(bytes_, "cut off");
    sample_words_ = state_.layout.positive_spans.size() +
                    state_.layout.negative_spans.size() +
                    state_.layout.custom_bounds.size() + buckets;
    state_.timestamp_ms = in_.VarbitInt();
    state_.counts.ReadFirst(buckets, &in_);
    starts_.Read(0, state_.timestamp_ms, &in_);
    return in_.ok() ? absl::OkStatus() : Corrupt(bytes_, "cut off");
  }

  absl::Status ReadNext() {
    // Inside a chunk no counter is reset.
    if (reset_ != CounterReset::kGauge) {
      state_.layout.counter_reset = CounterReset::kNotReset;
    }
    const std::int64_t before = state_.timestamp_ms;
    state_.delta_ms += static_cast<std::uint64_t>(in_.VarbitInt());
    state_.timestamp_ms = Sum(before, state_.delta_ms);
    state_.counts.ReadNext(&in_);
    starts_.Read(next_, before, &in_);
    if (!in_.ok()) return Corrupt(bytes_, "cut off");
    if (state_.timestamp_ms <= before) {
      return Corrupt(bytes_, "timestamps do not ascend");
    }
    return absl::OkStatus();
  }

  const absl::string_view bytes_;
  BitCursor in_;
  const bool with_starts_;
  StartTimes starts_;
  CounterReset reset_ = CounterReset::kUnknown;
  std::size_t count_ = 0;
  std::size_t next_ = 0;
  std::size_t sample_words_ = 0;
  bool crooked_ = false;
  HistogramChunkState<Counts> state_;
  absl::Status status_;
};

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

void AppendSample(Reader<IntCounts>& reader, StoredSample* sample) {
  sample->histogram.integer = std::make_shared<const model::IntHistogram>(
      reader.Sample<model::IntHistogram>());
}

void AppendSample(Reader<FloatCounts>& reader, StoredSample* sample) {
  sample->histogram.floating = std::make_shared<const model::FloatHistogram>(
      reader.Sample<model::FloatHistogram>());
}

template <typename Counts>
absl::Status DecodeAs(Encoding encoding, absl::string_view bytes,
                      const storage::TimeRange& range,
                      std::vector<StoredSample>* out) {
  const std::size_t before = out->size();
  Reader<Counts> reader(encoding, bytes);
  NARTHEX_RETURN_IF_ERROR(reader.Open());
  absl::Status status;
  while (status.ok() && reader.Next()) {
    const std::int64_t time = reader.state().timestamp_ms;
    if (time < range.min_ms || time > range.max_ms) continue;
    StoredSample sample;
    sample.timestamp_ms = time;
    sample.start_ms = reader.start_ms();
    AppendSample(reader, &sample);
    out->push_back(std::move(sample));
    status = reader.CheckMemory(out->size() - before);
  }
  if (status.ok()) status = reader.status();
  if (!status.ok()) out->resize(before);
  return status;
}

template <typename Counts>
absl::Status DecodeAs(Encoding encoding, absl::string_view bytes,
                      const storage::TimeRange& range,
                      model::SampleColumns* out) {
  const std::size_t before = out->size();
  Reader<Counts> reader(encoding, bytes);
  NARTHEX_RETURN_IF_ERROR(reader.Open());
  model::SampleColumns samples;
  bool any_start = false;
  while (reader.Next()) {
    const std::int64_t time = reader.state().timestamp_ms;
    if (time < range.min_ms || time > range.max_ms) continue;
    std::shared_ptr<const model::FloatHistogram> histogram;
    double value = 0;
    if (model::IsStaleNan(reader.state().counts.sum())) {
      value = model::StaleNan();
    } else {
      histogram = std::make_shared<const model::FloatHistogram>(
          reader.template Sample<model::FloatHistogram>());
    }
    samples.timestamps_ms.push_back(time);
    samples.values.push_back(value);
    samples.histograms.push_back(std::move(histogram));
    samples.starts_ms.push_back(reader.start_ms());
    any_start = any_start || reader.start_ms() != 0;
    NARTHEX_RETURN_IF_ERROR(reader.CheckMemory(samples.size()));
  }
  NARTHEX_RETURN_IF_ERROR(reader.status());
  if (!any_start) samples.starts_ms.clear();
  if (before == 0) {
    *out = std::move(samples);
  } else {
    out->AppendRange(samples, 0, samples.size());
  }
  return absl::OkStatus();
}

template <typename Out>
absl::Status Decode(Encoding encoding, absl::string_view bytes,
                    const storage::TimeRange& range, Out* out) {
  switch (encoding) {
    case Encoding::kHistogram:
    case Encoding::kHistogramSt:
      return DecodeAs<IntCounts>(encoding, bytes, range, out);
    case Encoding::kFloatHistogram:
    case Encoding::kFloatHistogramSt:
      return DecodeAs<FloatCounts>(encoding, bytes, range, out);
    default:
      return absl::InvalidArgumentError(absl::StrCat("chunk encoding ",
                                                     static_cast<int>(encoding),
                                                     " holds no histograms"));
  }
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
  Reader<Counts> reader(EncodingOf<Counts>(), bytes);
  NARTHEX_RETURN_IF_ERROR(reader.Open());
  if (reader.count() == 0) return Corrupt(bytes, "no samples");
  BasicHistogramChunk chunk;
  while (reader.Next()) {
    if (chunk.count_++ == 0) chunk.min_ms_ = reader.state().timestamp_ms;
  }
  NARTHEX_RETURN_IF_ERROR(reader.status());
  if (reader.crooked()) return Corrupt(bytes, "buckets out of order");
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
  out_.Bits(0, kHeaderBytes * 8);
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
  Reader<Counts> reader(EncodingOf<Counts>(), bytes());
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

absl::Status DecodeHistogramChunk(Encoding encoding, absl::string_view bytes,
                                  const storage::TimeRange& range,
                                  std::vector<StoredSample>* out) {
  return Decode(encoding, bytes, range, out);
}

absl::Status DecodeHistogramChunk(Encoding encoding, absl::string_view bytes,
                                  const storage::TimeRange& range,
                                  model::SampleColumns* out) {
  return Decode(encoding, bytes, range, out);
}

}  // namespace narthex::tsdb
