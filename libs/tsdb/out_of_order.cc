#include "libs/tsdb/out_of_order.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/types/span.h"

namespace narthex::tsdb {
namespace {

bool Overlaps(const storage::Chunk& chunk, const storage::TimeRange& range) {
  return chunk.min_ms <= range.max_ms && chunk.max_ms >= range.min_ms;
}

storage::TimeRange BoundsOf(absl::Span<const storage::Chunk> chunks) {
  storage::TimeRange range{std::numeric_limits<std::int64_t>::max(),
                           std::numeric_limits<std::int64_t>::min()};
  for (const storage::Chunk& chunk : chunks) {
    range.min_ms = std::min(range.min_ms, chunk.min_ms);
    range.max_ms = std::max(range.max_ms, chunk.max_ms);
  }
  return range;
}

// Where a sample of this time is or would be.
template <typename Sample>
auto PlaceOf(std::int64_t timestamp_ms, std::vector<Sample>& samples) {
  return std::lower_bound(samples.begin(), samples.end(), timestamp_ms,
                          [](const Sample& sample, std::int64_t time) {
                            return sample.timestamp_ms < time;
                          });
}

template <typename Sample>
bool Holds(std::int64_t timestamp_ms, std::vector<Sample>& samples) {
  const auto at = PlaceOf(timestamp_ms, samples);
  return at != samples.end() && at->timestamp_ms == timestamp_ms;
}

}  // namespace

OutOfOrderSeries::Inserted OutOfOrderSeries::Prepare(std::int64_t timestamp_ms,
                                                     std::size_t capacity) {
  if (buffered() >= capacity) Cut();
  Inserted result;
  result.taken = !Holds(timestamp_ms, floats_) && !Holds(timestamp_ms, others_);
  result.chunk_begun = result.taken && buffered() == 0;
  return result;
}

OutOfOrderSeries::Inserted OutOfOrderSeries::Insert(std::int64_t timestamp_ms,
                                                    double value,
                                                    std::size_t capacity,
                                                    std::int64_t start_ms) {
  const Inserted result = Prepare(timestamp_ms, capacity);
  if (!result.taken) return result;
  if (start_ms == 0) {
    floats_.insert(PlaceOf(timestamp_ms, floats_), {timestamp_ms, value});
  } else {
    others_.insert(PlaceOf(timestamp_ms, others_),
                   {timestamp_ms, start_ms, value});
  }
  return result;
}

OutOfOrderSeries::Inserted OutOfOrderSeries::Insert(
    std::int64_t timestamp_ms, const model::HistogramValue& value,
    std::size_t capacity, std::int64_t start_ms) {
  const Inserted result = Prepare(timestamp_ms, capacity);
  if (result.taken) {
    StoredSample sample;
    sample.timestamp_ms = timestamp_ms;
    sample.start_ms = start_ms;
    sample.histogram = value;
    others_.insert(PlaceOf(timestamp_ms, others_), std::move(sample));
  }
  return result;
}

storage::TimeRange OutOfOrderSeries::BufferedRange() const {
  storage::TimeRange range = BoundsOf({});
  const auto add = [&range](const auto& samples) {
    if (samples.empty()) return;
    range.min_ms = std::min(range.min_ms, samples.front().timestamp_ms);
    range.max_ms = std::max(range.max_ms, samples.back().timestamp_ms);
  };
  add(floats_);
  add(others_);
  return range;
}

void OutOfOrderSeries::EncodeBuffered(
    std::vector<storage::Chunk>* chunks) const {
  std::vector<StoredSample> samples;
  samples.reserve(buffered());
  for (const model::Sample& one : floats_) {
    samples.push_back({one.timestamp_ms, 0, one.value});
  }
  samples.insert(samples.end(), others_.begin(), others_.end());
  std::inplace_merge(
      samples.begin(),
      samples.begin() + static_cast<std::ptrdiff_t>(floats_.size()),
      samples.end(), [](const StoredSample& a, const StoredSample& b) {
        return a.timestamp_ms < b.timestamp_ms;
      });
  EncodeStored(samples, static_cast<int>(samples.size()), chunks);
}

storage::TimeRange OutOfOrderSeries::sealed_range() const {
  return BoundsOf(absl::MakeConstSpan(full_).first(sealed_));
}

storage::TimeRange OutOfOrderSeries::range() const {
  const storage::TimeRange full = BoundsOf(full_);
  const storage::TimeRange buffered = BufferedRange();
  return {std::min(full.min_ms, buffered.min_ms),
          std::max(full.max_ms, buffered.max_ms)};
}

void OutOfOrderSeries::Copy(const storage::TimeRange& range,
                            std::vector<storage::Chunk>* chunks) const {
  for (const storage::Chunk& chunk : full_) {
    if (Overlaps(chunk, range)) chunks->push_back(chunk);
  }
  const storage::TimeRange buffered = BufferedRange();
  if (buffered.min_ms <= range.max_ms && buffered.max_ms >= range.min_ms) {
    EncodeBuffered(chunks);
  }
}

void OutOfOrderSeries::ListChunks(
    const storage::TimeRange& range,
    std::vector<storage::TimeRange>* bounds) const {
  for (const storage::Chunk& chunk : full_) {
    if (Overlaps(chunk, range)) bounds->push_back({chunk.min_ms, chunk.max_ms});
  }
  const storage::TimeRange buffered = BufferedRange();
  if (buffered.min_ms <= range.max_ms && buffered.max_ms >= range.min_ms) {
    bounds->push_back(buffered);
  }
}

void OutOfOrderSeries::Cut() {
  EncodeBuffered(&full_);
  floats_.clear();
  others_.clear();
}

void OutOfOrderSeries::Seal() {
  if (buffered() > 0) Cut();
  floats_.shrink_to_fit();
  others_.shrink_to_fit();
  sealed_ = full_.size();
}

void OutOfOrderSeries::ReplaceHeapChunk(storage::Chunk mapped) {
  full_[mapped_++] = std::move(mapped);
}

void OutOfOrderSeries::CopyHeapSamples(
    storage::SeriesRef ref, StartingSamples* samples,
    std::vector<RefHistogram>* histograms) const {
  constexpr storage::TimeRange kAll{model::kMinTime, model::kMaxTime};
  std::vector<StoredSample> on_heap;
  for (const storage::Chunk& chunk : heap_chunks()) {
    // It was encoded here, so it can be decoded.
    DecodeStored(chunk, kAll, &on_heap).IgnoreError();
  }
  on_heap.insert(on_heap.end(), others_.begin(), others_.end());
  for (const StoredSample& one : on_heap) {
    if (one.is_float()) {
      samples->Add({ref, one.timestamp_ms, one.value}, one.start_ms);
    } else {
      histograms->push_back(
          {ref, one.timestamp_ms, one.start_ms, one.histogram});
    }
  }
  for (const model::Sample& one : floats_) {
    samples->Add({ref, one.timestamp_ms, one.value}, 0);
  }
}

void OutOfOrderSeries::CopySealed(const storage::TimeRange& range,
                                  std::vector<storage::Chunk>* chunks) const {
  for (std::size_t i = 0; i < sealed_; ++i) {
    if (Overlaps(full_[i], range)) chunks->push_back(full_[i]);
  }
}

std::size_t OutOfOrderSeries::DropSealed() {
  const std::size_t dropped = sealed_;
  mapped_ -= std::min(mapped_, sealed_);
  full_.erase(full_.begin(),
              full_.begin() + static_cast<std::ptrdiff_t>(sealed_));
  full_.shrink_to_fit();
  sealed_ = 0;
  return dropped;
}

}  // namespace narthex::tsdb
