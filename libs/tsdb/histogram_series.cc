#include "libs/tsdb/histogram_series.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "libs/base/status.h"
#include "libs/model/histogram_arithmetic.h"
#include "libs/model/sample.h"
#include "libs/tsdb/chunk_header.h"
#include "libs/tsdb/histogram_layout.h"
#include "libs/tsdb/start_chunks.h"

namespace narthex::tsdb {
namespace {

// What is aimed at in a chunk; a sample may be larger than all of it.
constexpr std::size_t kTargetBytes = 1024;
constexpr int kFewestSamples = 10;
// Once this part of a chunk is full it is known how dense its samples are.
constexpr std::size_t kPredictAfterPart = 4;

// As Prometheus rounds: towards zero.
std::int64_t RangeEnd(std::int64_t timestamp_ms, std::int64_t range_ms) {
  return timestamp_ms / range_ms * range_ms + range_ms;
}

// Where a chunk that began at `start` and is full to 1/`ratio` at `current`
// should end, so that the time until `end` is shared evenly by full chunks.
std::int64_t PredictEnd(std::int64_t start, std::int64_t current,
                        std::int64_t end, double ratio) {
  const auto span = static_cast<double>(end - start);
  const double chunks =
      span / (static_cast<double>(current - start + 1) * ratio);
  if (chunks <= 1) return end;
  return static_cast<std::int64_t>(static_cast<double>(start) +
                                   span / std::floor(chunks));
}

bool Overlap(std::int64_t min_ms, std::int64_t max_ms,
             const storage::TimeRange& range) {
  return min_ms <= range.max_ms && max_ms >= range.min_ms;
}

// Whether two histograms say the same, however their spans are cut and
// whatever is known of the counter before.
bool Same(model::FloatHistogram a, model::FloatHistogram b) {
  if (a.stale() || b.stale()) return a.stale() && b.stale();
  model::Compact(&a);
  model::Compact(&b);
  return model::Equal(a, b);
}

constexpr storage::Encoding EncodingOf(const HistogramChunk&) {
  return storage::Encoding::kHistogram;
}
constexpr storage::Encoding EncodingOf(const FloatHistogramChunk&) {
  return storage::Encoding::kFloatHistogram;
}

}  // namespace

template <typename Result, typename Use>
Result HistogramSeries::WithOpen(const Use& use) const {
  if (const auto* chunk = std::get_if<HistogramChunk>(&open_)) {
    return use(*chunk);
  }
  if (const auto* chunk = std::get_if<FloatHistogramChunk>(&open_)) {
    return use(*chunk);
  }
  return Result();
}

std::int64_t HistogramSeries::OpenMin() const {
  return WithOpen<std::int64_t>(
      [](const auto& chunk) { return chunk.min_ms(); });
}

storage::Chunk HistogramSeries::OpenAsFull() const {
  return WithOpen<storage::Chunk>([](const auto& chunk) {
    const auto owner = std::make_shared<const std::string>(
        chunk.bytes().data(), chunk.bytes().size());
    return storage::Chunk{chunk.min_ms(), chunk.max_ms(), EncodingOf(chunk),
                          *owner, owner};
  });
}

void HistogramSeries::ReplaceHeapChunk(storage::Chunk mapped) {
  full_[mapped_++] = std::move(mapped);
}

std::int64_t HistogramSeries::min_ms() const {
  if (!full_.empty()) return full_.front().min_ms;
  return WithOpen<std::int64_t>(
      [](const auto& chunk) { return chunk.min_ms(); });
}

MemSeries::Verdict HistogramSeries::Check(
    std::int64_t timestamp_ms, const model::HistogramValue& value) const {
  if (empty() || timestamp_ms > max_ms_) return MemSeries::Verdict::kNew;
  if (timestamp_ms < max_ms_) return MemSeries::Verdict::kOutOfOrder;
  bool same = false;
  if (const auto* chunk = std::get_if<HistogramChunk>(&open_)) {
    same = value.integer != nullptr &&
           Same(chunk->last().ToFloat(), value.integer->ToFloat());
  } else if (const auto* floats = std::get_if<FloatHistogramChunk>(&open_)) {
    same = value.floating != nullptr && Same(floats->last(), *value.floating);
  }
  return same ? MemSeries::Verdict::kSame : MemSeries::Verdict::kDuplicate;
}

// Chunks end at about their target size, with a number of samples that makes
// them worth their header, and at blocks' edges.
bool HistogramSeries::MustCut(std::int64_t timestamp_ms, int count,
                              std::size_t bytes, std::int64_t min_ms,
                              const ChunkRules& rules) {
  const std::int64_t range_end =
      end_predicted_ ? RangeEnd(min_ms, rules.range_ms) : next_at_ms_;
  if (!end_predicted_ && bytes >= kTargetBytes / kPredictAfterPart) {
    next_at_ms_ = PredictEnd(
        min_ms, max_ms_, next_at_ms_,
        static_cast<double>(kTargetBytes) / static_cast<double>(bytes));
    end_predicted_ = true;
  }
  if (timestamp_ms < next_at_ms_ && bytes < 2 * kTargetBytes) return false;
  return count >= kFewestSamples || timestamp_ms >= range_end;
}

void HistogramSeries::Cut() {
  if (open_.index() != 0) full_.push_back(OpenAsFull());
  open_ = std::monostate();
}

bool HistogramSeries::CloseChunk() {
  const bool open = open_.index() != 0;
  Cut();
  return open;
}

template <typename Chunk>
absl::Status HistogramSeries::ResumeAs(const storage::Chunk& chunk) {
  NARTHEX_ASSIGN_OR_RETURN(Chunk resumed, Chunk::Resume(chunk.bytes));
  max_ms_ = resumed.max_ms();
  stale_ = resumed.last().stale();
  open_ = std::move(resumed);
  return absl::OkStatus();
}

absl::Status HistogramSeries::Resume(const storage::Chunk& chunk,
                                     const ChunkRules& rules) {
  NARTHEX_RETURN_IF_ERROR(chunk.encoding == storage::Encoding::kHistogram
                              ? ResumeAs<HistogramChunk>(chunk)
                              : ResumeAs<FloatHistogramChunk>(chunk));
  ended_ = false;
  end_predicted_ = false;
  next_at_ms_ = RangeEnd(chunk.min_ms, rules.range_ms);
  return absl::OkStatus();
}

absl::Status HistogramSeries::AddMapped(storage::Chunk mapped) {
  // For what is known of its last sample.
  NARTHEX_ASSIGN_OR_RETURN(const storage::Chunk plain,
                           WithoutStartTimes(mapped));
  NARTHEX_RETURN_IF_ERROR(Resume(plain, ChunkRules{1}));
  open_ = std::monostate();
  full_.push_back(std::move(mapped));
  mapped_ = full_.size();
  return absl::OkStatus();
}

template <typename Chunk, typename Histogram>
bool HistogramSeries::AppendTo(std::int64_t timestamp_ms,
                               const Histogram& value,
                               const ChunkRules& rules) {
  auto* open = std::get_if<Chunk>(&open_);
  if (open == nullptr || ended_) {
    Cut();
    open_.template emplace<Chunk>(timestamp_ms, value);
  } else if (open->count() >= kMaxSamplesPerChunk ||
             MustCut(timestamp_ms, open->count(), open->bytes().size(),
                     open->min_ms(), rules)) {
    Chunk next(timestamp_ms, value, open);
    Cut();
    open_ = std::move(next);
  } else if (auto next = open->Append(timestamp_ms, value)) {
    Cut();
    open_ = *std::move(next);
  } else {
    return false;
  }
  ended_ = false;
  end_predicted_ = false;
  next_at_ms_ = RangeEnd(timestamp_ms, rules.range_ms);
  return true;
}

bool HistogramSeries::Append(std::int64_t timestamp_ms,
                             const model::HistogramValue& value,
                             const ChunkRules& rules) {
  const bool begun =
      value.integer != nullptr
          ? AppendTo<HistogramChunk>(timestamp_ms, *value.integer, rules)
          : AppendTo<FloatHistogramChunk>(timestamp_ms, *value.floating, rules);
  max_ms_ = timestamp_ms;
  stale_ = value.stale();
  return begun;
}

std::size_t HistogramSeries::chunk_count() const {
  return full_.size() + (open_.index() == 0 ? 0 : 1);
}

std::size_t HistogramSeries::last_bucket_count() const {
  return WithOpen<std::size_t>([](const auto& chunk) {
    const auto last = chunk.last();
    return BucketCount(last.positive_spans) + BucketCount(last.negative_spans);
  });
}

std::size_t HistogramSeries::heap_bytes() const {
  std::size_t bytes = WithOpen<std::size_t>(
      [](const auto& chunk) { return chunk.allocated_bytes(); });
  for (const storage::Chunk& chunk : heap_chunks()) bytes += chunk.bytes.size();
  return bytes;
}

std::size_t HistogramSeries::Truncate(std::int64_t min_ms) {
  const std::size_t before = chunk_count();
  mapped_ -= std::min(
      mapped_, std::erase_if(full_, [min_ms](const storage::Chunk& chunk) {
        return chunk.max_ms < min_ms;
      }));
  if (max_ms_ < min_ms) open_ = std::monostate();
  return before - chunk_count();
}

void HistogramSeries::CopyChunks(const storage::TimeRange& range,
                                 std::vector<storage::Chunk>* chunks) const {
  for (const storage::Chunk& chunk : full_) {
    if (Overlap(chunk.min_ms, chunk.max_ms, range)) chunks->push_back(chunk);
  }
  if (open_.index() == 0) return;
  if (Overlap(OpenMin(), max_ms_, range)) chunks->push_back(OpenAsFull());
}

void HistogramSeries::ListChunks(
    const storage::TimeRange& range,
    std::vector<storage::TimeRange>* bounds) const {
  for (const storage::Chunk& chunk : full_) {
    if (Overlap(chunk.min_ms, chunk.max_ms, range)) {
      bounds->push_back({chunk.min_ms, chunk.max_ms});
    }
  }
  if (open_.index() == 0) return;
  if (Overlap(OpenMin(), max_ms_, range)) {
    bounds->push_back({OpenMin(), max_ms_});
  }
}

storage::TimeRange MixedSeries::range() const {
  storage::TimeRange range{model::kMaxTime, model::kMinTime};
  if (!floats_.empty())
    range = {floats_.min_ms(arena_), floats_.max_ms(arena_)};
  if (histograms_ == nullptr || histograms_->empty()) return range;
  return {std::min(range.min_ms, histograms_->min_ms()),
          std::max(range.max_ms, histograms_->max_ms())};
}

bool MixedSeries::histogram_is_last() const {
  if (histograms_ == nullptr || histograms_->empty()) return false;
  return floats_.empty() || histograms_->max_ms() > floats_.max_ms(arena_);
}

bool MixedSeries::stale() const {
  return histogram_is_last() ? histograms_->stale() : floats_.stale();
}

MemSeries::Verdict MixedSeries::CheckOther(std::int64_t timestamp_ms) const {
  const std::int64_t newest_ms =
      histogram_is_last() ? histograms_->max_ms() : floats_.max_ms(arena_);
  if (timestamp_ms > newest_ms) return MemSeries::Verdict::kNew;
  return timestamp_ms == newest_ms ? MemSeries::Verdict::kDuplicate
                                   : MemSeries::Verdict::kOutOfOrder;
}

MemSeries::Verdict MixedSeries::Check(std::int64_t timestamp_ms,
                                      double value) const {
  return histogram_is_last() ? CheckOther(timestamp_ms)
                             : floats_.Check(arena_, timestamp_ms, value);
}

MemSeries::Verdict MixedSeries::Check(
    std::int64_t timestamp_ms, const model::HistogramValue& value) const {
  if (histogram_is_last()) return histograms_->Check(timestamp_ms, value);
  return floats_.empty() ? MemSeries::Verdict::kNew : CheckOther(timestamp_ms);
}

}  // namespace narthex::tsdb
