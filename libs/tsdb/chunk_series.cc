#include "libs/tsdb/chunk_series.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/storage/merge.h"
#include "libs/tsdb/xor_chunk.h"

namespace narthex::tsdb {
namespace {

/// Moves the samples of `columns` from `first` on into the result.
model::SampleColumns TakeTail(std::size_t first,
                              model::SampleColumns* columns) {
  model::SampleColumns tail;
  tail.AppendRange(*columns, first, columns->size());
  columns->Truncate(first);
  return tail;
}

/// Merges what `*out` holds from `chunk_start` on, a chunk's samples, with
/// those from `start` on, which are ascending but not all before it.
void MergeOverlap(std::size_t start, std::size_t chunk_start,
                  model::SampleColumns* out) {
  const model::SampleColumns chunk = TakeTail(chunk_start, out);
  const auto& times = out->timestamps_ms;
  const auto at =
      std::lower_bound(times.begin() + static_cast<std::ptrdiff_t>(start),
                       times.end(), chunk.timestamps_ms.front());
  model::SampleColumns merged =
      TakeTail(static_cast<std::size_t>(at - times.begin()), out);
  storage::MergeColumns(chunk, &merged);
  out->AppendRange(merged, 0, merged.size());
}

class DecodedSeries : public storage::Series {
 public:
  DecodedSeries(storage::ChunkSeries series, storage::TimeRange range)
      : series_(std::move(series)), range_(range) {}

  const model::Labels& labels() const override { return series_.labels; }
  absl::Status Read(model::SampleColumns* out) const override {
    const absl::Status status = DecodeChunks(series_.chunks, range_, out);
    if (status.ok()) return status;
    return base::Annotate(
        status, absl::StrCat("series ", series_.labels.ToMetricString()));
  }

 private:
  const storage::ChunkSeries series_;
  const storage::TimeRange range_;
};

class DecodedSeriesSet : public storage::SeriesSet {
 public:
  DecodedSeriesSet(std::unique_ptr<storage::ChunkSeriesSet> set,
                   storage::TimeRange range)
      : set_(std::move(set)), range_(range) {}

  bool Next() override { return set_->Next(&current_); }
  std::unique_ptr<storage::Series> At() override {
    return std::make_unique<DecodedSeries>(std::move(current_), range_);
  }
  absl::Status status() const override { return set_->status(); }

 private:
  const std::unique_ptr<storage::ChunkSeriesSet> set_;
  const storage::TimeRange range_;
  storage::ChunkSeries current_;
};

}  // namespace

absl::Status DecodeChunk(const storage::Chunk& chunk,
                         const storage::TimeRange& range,
                         model::SampleColumns* out) {
  if (chunk.encoding != storage::Encoding::kXor) {
    return absl::UnimplementedError(
        absl::StrCat("chunk encoding ", static_cast<int>(chunk.encoding),
                     " is not read (native histograms)"));
  }
  return DecodeXorChunk(chunk.bytes, range, out);
}

absl::Status DecodeChunks(const std::vector<storage::Chunk>& chunks,
                          const storage::TimeRange& range,
                          model::SampleColumns* out) {
  const std::size_t start = out->size();
  for (const storage::Chunk& chunk : chunks) {
    if (chunk.max_ms < range.min_ms || chunk.min_ms > range.max_ms) continue;
    const std::size_t before = out->size();
    NARTHEX_RETURN_IF_ERROR(DecodeChunk(chunk, range, out));
    const auto& times = out->timestamps_ms;
    if (before > start && before < times.size() &&
        times[before] <= times[before - 1]) {
      MergeOverlap(start, before, out);
    }
  }
  return absl::OkStatus();
}

void EncodeChunks(const model::SampleColumns& samples, int samples_per_chunk,
                  std::vector<storage::Chunk>* chunks) {
  const auto step = static_cast<std::size_t>(
      std::clamp(samples_per_chunk, 1, kMaxSamplesPerChunk));
  for (std::size_t from = 0; from < samples.size(); from += step) {
    const std::size_t to = std::min(from + step, samples.size());
    auto encoded = std::make_shared<XorChunk>();
    for (std::size_t i = from; i < to; ++i) {
      encoded->Append(samples.timestamps_ms[i], samples.values[i]);
    }
    encoded->ShrinkToFit();
    storage::Chunk chunk;
    chunk.min_ms = samples.timestamps_ms[from];
    chunk.max_ms = samples.timestamps_ms[to - 1];
    chunk.encoding = storage::Encoding::kXor;
    chunk.bytes = encoded->bytes();
    chunk.owner = std::move(encoded);
    chunks->push_back(std::move(chunk));
  }
}

std::unique_ptr<storage::SeriesSet> DecodeSeriesSet(
    std::unique_ptr<storage::ChunkSeriesSet> set, storage::TimeRange range) {
  return std::make_unique<DecodedSeriesSet>(std::move(set), range);
}

}  // namespace narthex::tsdb
