#include "libs/tsdb/mem_series.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "libs/model/sample.h"

namespace narthex::tsdb {
namespace {

// A chunk is cut before it outgrows this many bytes. A sample takes at most
// the second.
constexpr std::size_t kMostChunkBytes = 1024;
constexpr std::size_t kMostSampleBytes = 19;
// Once this part of a chunk is full it is known how dense its samples are.
constexpr int kPredictAfterPart = 4;

// The first multiple of `range_ms` after `timestamp_ms`, as Prometheus rounds:
// towards zero.
std::int64_t RangeEnd(std::int64_t timestamp_ms, std::int64_t range_ms) {
  return timestamp_ms / range_ms * range_ms + range_ms;
}

// Where to end a chunk that began at `start` and is a quarter full at
// `current`, so that the time until `end` is shared evenly by full chunks.
std::int64_t PredictEnd(std::int64_t start, std::int64_t current,
                        std::int64_t end) {
  const auto span = static_cast<double>(end - start);
  const double chunks =
      span / (static_cast<double>(current - start + 1) * kPredictAfterPart);
  if (chunks <= 1) return end;
  return static_cast<std::int64_t>(static_cast<double>(start) +
                                   span / std::floor(chunks));
}

}  // namespace

MemSeries::FullChunk::FullChunk(std::int64_t min_ms, std::int64_t max_ms,
                                absl::string_view bytes)
    : min_ms_(min_ms),
      span_ms_(static_cast<std::uint32_t>(max_ms - min_ms)),
      size_(static_cast<std::uint32_t>(bytes.size()) & 0x7fffffff),
      on_heap_(1) {
  char* data = new char[bytes.size()];
  std::memcpy(data, bytes.data(), bytes.size());
  data_ = data;
}

MemSeries::FullChunk::FullChunk(FullChunk&& other) noexcept
    : min_ms_(other.min_ms_),
      data_(other.data_),
      span_ms_(other.span_ms_),
      size_(other.size_),
      on_heap_(other.on_heap_) {
  other.on_heap_ = 0;
}

MemSeries::FullChunk& MemSeries::FullChunk::operator=(
    FullChunk&& other) noexcept {
  if (this == &other) return *this;
  this->~FullChunk();
  return *new (this) FullChunk(std::move(other));
}

MemSeries::FullChunk::~FullChunk() {
  if (on_heap_ != 0) delete[] data_;
}

void MemSeries::FullChunk::UseMapped(absl::string_view bytes) {
  if (on_heap_ != 0) delete[] data_;
  data_ = bytes.data();
  on_heap_ = 0;
}

std::int64_t MemSeries::min_ms() const {
  return full_ == nullptr || full_->empty() ? open_.min_ms()
                                            : full_->front().min_ms();
}

bool MemSeries::stale() const {
  return !open_.empty() && model::IsStaleNan(open_.last_value());
}

MemSeries::Verdict MemSeries::Check(std::int64_t timestamp_ms,
                                    double value) const {
  if (open_.empty() || timestamp_ms > open_.max_ms()) return Verdict::kNew;
  if (timestamp_ms < open_.max_ms()) return Verdict::kOutOfOrder;
  return std::bit_cast<std::uint64_t>(value) ==
                 std::bit_cast<std::uint64_t>(open_.last_value())
             ? Verdict::kSame
             : Verdict::kDuplicate;
}

bool MemSeries::MustCut(std::int64_t timestamp_ms, const ChunkRules& rules) {
  const int count = open_.count();
  if (open_.bytes().size() > kMostChunkBytes - kMostSampleBytes) return true;
  if (count == rules.samples_per_chunk / kPredictAfterPart) {
    next_at_ms_ = PredictEnd(open_.min_ms(), open_.max_ms(), next_at_ms_);
  }
  // Far more samples than predicted: the rate must have risen.
  return timestamp_ms >= next_at_ms_ || count >= rules.samples_per_chunk * 2;
}

// Moves the open chunk to the full ones.
void MemSeries::Cut() {
  if (full_ == nullptr) full_ = std::make_unique<std::vector<FullChunk>>();
  // Not double as a vector would: most series end up with a few.
  if (full_->size() == full_->capacity()) full_->reserve(full_->size() + 2);
  full_->emplace_back(open_.min_ms(), open_.max_ms(), open_.bytes());
  open_ = XorChunk();
}

bool MemSeries::Append(std::int64_t timestamp_ms, double value,
                       const ChunkRules& rules) {
  if (!open_.empty() && MustCut(timestamp_ms, rules)) Cut();
  const bool begun = open_.empty();
  if (begun) next_at_ms_ = RangeEnd(timestamp_ms, rules.range_ms);
  open_.Append(timestamp_ms, value);
  return begun;
}

std::size_t MemSeries::chunk_count() const {
  return (full_ == nullptr ? 0 : full_->size()) + (open_.empty() ? 0 : 1);
}

std::size_t MemSeries::heap_bytes() const {
  std::size_t bytes = open_.allocated_bytes();
  if (full_ != nullptr) {
    for (const FullChunk& chunk : *full_) {
      if (chunk.on_heap()) bytes += chunk.bytes().size();
    }
  }
  return bytes;
}

std::size_t MemSeries::Truncate(std::int64_t min_ms) {
  std::size_t removed = 0;
  if (full_ != nullptr) {
    auto keep = full_->begin();
    while (keep != full_->end() && keep->max_ms() < min_ms) ++keep;
    removed = static_cast<std::size_t>(keep - full_->begin());
    full_->erase(full_->begin(), keep);
    if (full_->empty()) full_.reset();
  }
  if (!open_.empty() && open_.max_ms() < min_ms) {
    open_ = XorChunk();
    ++removed;
  }
  return removed;
}

void MemSeries::CollectHeapChunks(storage::SeriesRef ref,
                                  std::vector<HeadChunk>* chunks) const {
  if (full_ == nullptr) return;
  for (const FullChunk& chunk : *full_) {
    if (!chunk.on_heap()) continue;
    chunks->push_back({ref, chunk.min_ms(), chunk.max_ms(), chunk.bytes()});
  }
}

void MemSeries::ReplaceBytes(absl::string_view heap, absl::string_view mapped) {
  if (full_ == nullptr) return;
  for (FullChunk& chunk : *full_) {
    if (chunk.bytes().data() != heap.data()) continue;
    return chunk.UseMapped(mapped);
  }
}

void MemSeries::CopyChunks(const storage::TimeRange& range,
                           std::vector<storage::Chunk>* chunks) const {
  if (open_.empty()) return;
  const auto overlaps = [&range](std::int64_t min, std::int64_t max) {
    return min <= range.max_ms && max >= range.min_ms;
  };
  const auto owner = std::make_shared<std::string>();
  const std::size_t first = chunks->size();
  const auto copy = [&](std::int64_t min, std::int64_t max,
                        absl::string_view bytes) {
    if (!overlaps(min, max)) return;
    chunks->push_back({min, max, storage::Encoding::kXor, bytes, owner});
    owner->append(bytes.data(), bytes.size());
  };
  if (full_ != nullptr) {
    for (const FullChunk& chunk : *full_) {
      copy(chunk.min_ms(), chunk.max_ms(), chunk.bytes());
    }
  }
  copy(open_.min_ms(), open_.max_ms(), open_.bytes());
  // The copy has stopped moving: now the views can point into it.
  std::size_t offset = 0;
  for (std::size_t i = first; i < chunks->size(); ++i) {
    absl::string_view& bytes = (*chunks)[i].bytes;
    const std::size_t size = bytes.size();
    bytes = absl::string_view(*owner).substr(offset, size);
    offset += size;
  }
}

}  // namespace narthex::tsdb
