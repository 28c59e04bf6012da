#include "libs/tsdb/late_chunks.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "libs/base/status.h"
#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/stored_sample.h"

namespace narthex::tsdb {
namespace {

// No chunk of a head holds more samples.
constexpr int kMostSamplesPerChunk = 65535;

// The times of all samples within `range`, ascending.
absl::StatusOr<std::vector<std::int64_t>> TimesOf(
    const std::vector<storage::Chunk>& chunks,
    const storage::TimeRange& range) {
  model::SampleColumns samples;
  for (const storage::Chunk& chunk : chunks) {
    if (chunk.max_ms < range.min_ms || chunk.min_ms > range.max_ms) continue;
    NARTHEX_RETURN_IF_ERROR(DecodeChunk(chunk, range, &samples));
  }
  std::vector<std::int64_t> times = std::move(samples.timestamps_ms);
  std::sort(times.begin(), times.end());
  return times;
}

// Adds the times of `late` that are among `times` to `*repeated`.
absl::Status AddRepeated(const std::vector<std::int64_t>& times,
                         const storage::Chunk& late, Intervals* repeated) {
  const auto first = std::lower_bound(times.begin(), times.end(), late.min_ms);
  if (first == times.end() || *first > late.max_ms) return absl::OkStatus();
  model::SampleColumns samples;
  NARTHEX_RETURN_IF_ERROR(
      DecodeChunk(late, {late.min_ms, late.max_ms}, &samples));
  for (const std::int64_t time : samples.timestamps_ms) {
    if (!std::binary_search(first, times.end(), time)) continue;
    AddInterval({time, time}, repeated);
  }
  return absl::OkStatus();
}

class LateSet : public storage::ChunkSeriesSet {
 public:
  LateSet(std::unique_ptr<storage::ChunkSeriesSet> first,
          std::unique_ptr<storage::ChunkSeriesSet> late)
      : first_{std::move(first)}, late_{std::move(late)} {
    Advance(first_);
    Advance(late_);
  }

  bool Next(storage::ChunkSeries* series) override {
    if (!status_.ok() || (!first_.more && !late_.more)) return false;
    const int order =
        !late_.more ? -1
        : !first_.more
            ? 1
            : model::Labels::Compare(first_.head.labels, late_.head.labels);
    Take(order <= 0 ? first_ : late_, series);
    if (order == 0) {
      storage::ChunkSeries late;
      Take(late_, &late);
      status_.Update(AddLate(std::move(late.chunks), {}, &series->chunks));
    }
    return status_.ok();
  }

  absl::Status status() const override { return status_; }

 private:
  struct Source {
    std::unique_ptr<storage::ChunkSeriesSet> set;
    storage::ChunkSeries head = {};
    bool more = false;
  };

  void Advance(Source& source) {
    source.more = source.set->Next(&source.head);
    if (!source.more) status_.Update(source.set->status());
  }

  void Take(Source& source, storage::ChunkSeries* series) {
    std::swap(*series, source.head);
    Advance(source);
  }

  Source first_;
  Source late_;
  absl::Status status_;
};

}  // namespace

absl::StatusOr<bool> CutChunk(const storage::TimeRange& range,
                              const Intervals& deleted, storage::Chunk* chunk) {
  std::vector<StoredSample> samples;
  NARTHEX_RETURN_IF_ERROR(DecodeStored(*chunk, range, &samples));
  std::erase_if(samples, [&deleted](const StoredSample& sample) {
    return Covers(deleted, {sample.timestamp_ms, sample.timestamp_ms});
  });
  if (samples.empty()) return false;
  std::vector<storage::Chunk> encoded;
  EncodeStored(samples, kMostSamplesPerChunk, &encoded);
  *chunk = std::move(encoded.front());
  return true;
}

absl::Status AddLate(std::vector<storage::Chunk> late, const Intervals& deleted,
                     std::vector<storage::Chunk>* chunks) {
  if (late.empty()) return absl::OkStatus();
  storage::TimeRange range{late.front().min_ms, late.front().max_ms};
  for (const storage::Chunk& chunk : late) {
    range.min_ms = std::min(range.min_ms, chunk.min_ms);
    range.max_ms = std::max(range.max_ms, chunk.max_ms);
  }
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::int64_t> times,
                           TimesOf(*chunks, range));
  for (storage::Chunk& chunk : late) {
    Intervals left_out = deleted;
    NARTHEX_RETURN_IF_ERROR(AddRepeated(times, chunk, &left_out));
    if (Overlaps(left_out, {chunk.min_ms, chunk.max_ms})) {
      NARTHEX_ASSIGN_OR_RETURN(
          const bool left,
          CutChunk({chunk.min_ms, chunk.max_ms}, left_out, &chunk));
      if (!left) continue;
    }
    chunks->push_back(std::move(chunk));
  }
  std::stable_sort(chunks->begin(), chunks->end(),
                   [](const storage::Chunk& a, const storage::Chunk& b) {
                     return a.min_ms < b.min_ms;
                   });
  return absl::OkStatus();
}

std::unique_ptr<storage::ChunkSeriesSet> MergeLate(
    std::unique_ptr<storage::ChunkSeriesSet> first,
    std::unique_ptr<storage::ChunkSeriesSet> late) {
  return std::make_unique<LateSet>(std::move(first), std::move(late));
}

}  // namespace narthex::tsdb
