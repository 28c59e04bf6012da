#include "libs/tsdb/late_chunks.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "libs/base/status.h"
#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/stored_sample.h"

namespace narthex::tsdb {
namespace {

// No chunk of a head holds more samples.
constexpr int kMostSamplesPerChunk = 65535;

bool Overlap(const storage::Chunk& a, const storage::Chunk& b) {
  return a.min_ms <= b.max_ms && b.min_ms <= a.max_ms;
}

bool Same(const storage::Chunk& a, const storage::Chunk& b) {
  return a.min_ms == b.min_ms && a.max_ms == b.max_ms &&
         a.encoding == b.encoding && a.bytes == b.bytes;
}

// Adds those of the late chunks that say something new, and of these only that.
absl::Status Add(std::vector<storage::Chunk> late,
                 std::vector<storage::Chunk>* chunks) {
  const std::size_t first = chunks->size();
  std::int64_t end = model::kMinTime;
  for (const storage::Chunk& chunk : *chunks) end = std::max(end, chunk.max_ms);
  for (storage::Chunk& chunk : late) {
    if (chunk.min_ms > end) {
      chunks->push_back(std::move(chunk));
      continue;
    }
    const auto before = absl::MakeConstSpan(*chunks).first(first);
    const auto same = [&chunk](const auto& one) { return Same(one, chunk); };
    if (std::any_of(before.begin(), before.end(), same)) continue;
    Intervals repeated;
    NARTHEX_RETURN_IF_ERROR(AddRepeated(before, chunk, &repeated));
    if (!repeated.empty()) {
      NARTHEX_ASSIGN_OR_RETURN(
          const bool left,
          CutChunk({chunk.min_ms, chunk.max_ms}, repeated, &chunk));
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
      status_.Update(Add(std::move(late.chunks), &series->chunks));
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

absl::Status AddRepeated(absl::Span<const storage::Chunk> chunks,
                         const storage::Chunk& late, Intervals* repeated) {
  const storage::TimeRange range{late.min_ms, late.max_ms};
  model::SampleColumns known;
  for (const storage::Chunk& chunk : chunks) {
    if (!Overlap(chunk, late)) continue;
    NARTHEX_RETURN_IF_ERROR(DecodeChunk(chunk, range, &known));
  }
  if (known.empty()) return absl::OkStatus();
  std::vector<std::int64_t>& times = known.timestamps_ms;
  std::sort(times.begin(), times.end());
  model::SampleColumns ours;
  NARTHEX_RETURN_IF_ERROR(DecodeChunk(late, range, &ours));
  for (const std::int64_t time : ours.timestamps_ms) {
    if (!std::binary_search(times.begin(), times.end(), time)) continue;
    AddInterval({time, time}, repeated);
  }
  return absl::OkStatus();
}

std::unique_ptr<storage::ChunkSeriesSet> MergeLate(
    std::unique_ptr<storage::ChunkSeriesSet> first,
    std::unique_ptr<storage::ChunkSeriesSet> late) {
  return std::make_unique<LateSet>(std::move(first), std::move(late));
}

}  // namespace narthex::tsdb
