#include "libs/tsdb/out_of_order.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/types/span.h"
#include "libs/tsdb/chunk_series.h"

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

// As one chunk. Requires: not empty.
storage::Chunk Encode(const std::vector<model::Sample>& samples) {
  model::SampleColumns columns;
  for (const model::Sample& sample : samples) {
    columns.Append(sample.timestamp_ms, sample.value);
  }
  std::vector<storage::Chunk> chunks;
  EncodeChunks(columns, static_cast<int>(samples.size()), &chunks);
  return std::move(chunks.front());
}

}  // namespace

OutOfOrderSeries::Inserted OutOfOrderSeries::Insert(std::int64_t timestamp_ms,
                                                    double value,
                                                    std::size_t capacity) {
  Inserted result;
  if (open_.size() >= capacity) Cut();
  const auto at =
      std::lower_bound(open_.begin(), open_.end(), timestamp_ms,
                       [](const model::Sample& sample, std::int64_t time) {
                         return sample.timestamp_ms < time;
                       });
  if (at != open_.end() && at->timestamp_ms == timestamp_ms) return result;
  result.taken = true;
  result.chunk_begun = open_.empty();
  open_.insert(at, {timestamp_ms, value});
  return result;
}

storage::TimeRange OutOfOrderSeries::sealed_range() const {
  return BoundsOf(absl::MakeConstSpan(full_).first(sealed_));
}

storage::TimeRange OutOfOrderSeries::range() const {
  storage::TimeRange range = BoundsOf(full_);
  if (!open_.empty()) {
    range.min_ms = std::min(range.min_ms, open_.front().timestamp_ms);
    range.max_ms = std::max(range.max_ms, open_.back().timestamp_ms);
  }
  return range;
}

void OutOfOrderSeries::Copy(const storage::TimeRange& range,
                            std::vector<storage::Chunk>* chunks) const {
  for (const storage::Chunk& chunk : full_) {
    if (Overlaps(chunk, range)) chunks->push_back(chunk);
  }
  if (open_.empty() || open_.front().timestamp_ms > range.max_ms ||
      open_.back().timestamp_ms < range.min_ms) {
    return;
  }
  chunks->push_back(Encode(open_));
}

void OutOfOrderSeries::Cut() {
  full_.push_back(Encode(open_));
  open_.clear();
}

void OutOfOrderSeries::Seal() {
  if (!open_.empty()) Cut();
  open_.shrink_to_fit();
  sealed_ = full_.size();
}

void OutOfOrderSeries::ReplaceHeapChunk(storage::Chunk mapped) {
  full_[mapped_++] = std::move(mapped);
}

void OutOfOrderSeries::CopyHeapSamples(storage::SeriesRef ref,
                                       std::vector<RefSample>* samples) const {
  constexpr storage::TimeRange kAll{model::kMinTime, model::kMaxTime};
  for (const storage::Chunk& chunk : heap_chunks()) {
    model::SampleColumns columns;
    // It was encoded here, so it can be decoded.
    if (!DecodeChunk(chunk, kAll, &columns).ok()) continue;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      samples->push_back({ref, columns.timestamps_ms[i], columns.values[i]});
    }
  }
  for (const model::Sample& sample : open_) {
    samples->push_back({ref, sample.timestamp_ms, sample.value});
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
