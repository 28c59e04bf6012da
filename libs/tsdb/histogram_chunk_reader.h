#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/base/status.h"
#include "libs/model/histogram.h"
#include "libs/model/sample.h"
#include "libs/storage/storage.h"
#include "libs/tsdb/bits.h"
#include "libs/tsdb/chunk_header.h"
#include "libs/tsdb/histogram_chunk.h"
#include "libs/tsdb/histogram_layout.h"
#include "libs/tsdb/start_times.h"

namespace narthex::tsdb {

inline constexpr std::size_t kHistogramHeaderBytes = 3;

/// What the two bits of a chunk's header say, which are not the enum's numbers.
model::CounterReset ResetOfHistogramHeader(int bits);

/// kDataLoss.
absl::Status CorruptHistogramChunk(absl::string_view bytes,
                                   absl::string_view what);

/// Reads the samples of a chunk one after the other. Usage:
///   NARTHEX_RETURN_IF_ERROR(reader.Open());
///   while (reader.Next()) Use(reader.state());
///   NARTHEX_RETURN_IF_ERROR(reader.status());
template <typename Counts>
class HistogramChunkReader {
 public:
  HistogramChunkReader(storage::Encoding encoding, absl::string_view bytes)
      : bytes_(bytes),
        in_(bytes.substr(std::min(kHistogramHeaderBytes, bytes.size()))),
        with_starts_(HasStartTimes(encoding)) {}

  absl::Status Open() {
    if (bytes_.size() < kHistogramHeaderBytes)
      return CorruptHistogramChunk(bytes_, "no header");
    const auto first = static_cast<std::uint8_t>(bytes_[0]);
    const auto second = static_cast<std::uint8_t>(bytes_[1]);
    const auto third = static_cast<std::uint8_t>(bytes_[2]);
    if (with_starts_) {
      reset_ = ResetOfHistogramHeader(first >> 6);
      count_ = static_cast<std::size_t>((first & 0x3f) << 8 | second);
      starts_ = StartTimes(third);
    } else {
      count_ = static_cast<std::size_t>(first << 8 | second);
      reset_ = ResetOfHistogramHeader(third >> 6);
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
  model::CounterReset reset() const { return reset_; }
  std::int64_t start_ms() const { return starts_.start_ms(); }
  /// In bits from the front of the chunk.
  std::size_t position() const {
    return kHistogramHeaderBytes * 8 + in_.position();
  }
  /// Likewise where the last sample ends and its start time begins.
  std::size_t sample_end() const { return sample_end_; }

  /// Whether so many samples, decoded, take more memory than they may.
  absl::Status CheckMemory(std::size_t samples) const {
    if (samples * sample_words_ <= kMostDecodedWords) return absl::OkStatus();
    return CorruptHistogramChunk(bytes_, "its samples are too large");
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
  // What the spans, bounds and buckets of a decoded chunk may take, in 8 bytes.
  // Real chunks stay far below it, but what all samples share, and empty spans,
  // cost next to nothing in a file.
  static constexpr std::size_t kMostDecodedWords = std::size_t{32} << 20;

  absl::Status ReadFirst() {
    const absl::Status layout = ReadHistogramLayout(&in_, &state_.layout);
    if (!layout.ok()) return CorruptHistogramChunk(bytes_, layout.message());
    state_.layout.counter_reset = reset_ == model::CounterReset::kGauge
                                      ? model::CounterReset::kGauge
                                      : model::CounterReset::kUnknown;
    crooked_ = IsCrooked(state_.layout.positive_spans) ||
               IsCrooked(state_.layout.negative_spans);
    state_.positive_buckets = BucketCount(state_.layout.positive_spans);
    const std::size_t buckets =
        state_.positive_buckets + BucketCount(state_.layout.negative_spans);
    if (buckets > in_.remaining())
      return CorruptHistogramChunk(bytes_, "cut off");
    sample_words_ = state_.layout.positive_spans.size() +
                    state_.layout.negative_spans.size() +
                    state_.layout.custom_bounds.size() + buckets;
    state_.timestamp_ms = in_.VarbitInt();
    state_.counts.ReadFirst(buckets, &in_);
    sample_end_ = position();
    starts_.Read(0, state_.timestamp_ms, &in_);
    return in_.ok() ? absl::OkStatus()
                    : CorruptHistogramChunk(bytes_, "cut off");
  }

  absl::Status ReadNext() {
    // Inside a chunk no counter is reset.
    if (reset_ != model::CounterReset::kGauge) {
      state_.layout.counter_reset = model::CounterReset::kNotReset;
    }
    const std::int64_t before = state_.timestamp_ms;
    state_.delta_ms += static_cast<std::uint64_t>(in_.VarbitInt());
    state_.timestamp_ms = static_cast<std::int64_t>(
        static_cast<std::uint64_t>(before) + state_.delta_ms);
    state_.counts.ReadNext(&in_);
    sample_end_ = position();
    starts_.Read(next_, before, &in_);
    if (!in_.ok()) return CorruptHistogramChunk(bytes_, "cut off");
    if (state_.timestamp_ms <= before) {
      return CorruptHistogramChunk(bytes_, "timestamps do not ascend");
    }
    return absl::OkStatus();
  }

  const absl::string_view bytes_;
  BitCursor in_;
  const bool with_starts_;
  StartTimes starts_;
  model::CounterReset reset_ = model::CounterReset::kUnknown;
  std::size_t count_ = 0;
  std::size_t next_ = 0;
  std::size_t sample_words_ = 0;
  std::size_t sample_end_ = 0;
  bool crooked_ = false;
  HistogramChunkState<Counts> state_;
  absl::Status status_;
};

}  // namespace narthex::tsdb
