#include "libs/tsdb/chunk_series.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/storage/merge.h"
#include "libs/tsdb/histogram_chunk.h"
#include "libs/tsdb/stored_sample.h"
#include "libs/tsdb/xor2_chunk.h"
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

/// Makes unknown whether a counter was reset where merged samples that come
/// from `kept` and others meet: what is known of one that used to follow
/// another sample.
void ForgetResets(const model::SampleColumns& kept,
                  model::SampleColumns* merged) {
  std::size_t next = 0;
  bool was_kept = false;
  for (std::size_t i = 0; i < merged->histograms.size(); ++i) {
    const bool is_kept = next < kept.size() &&
                         kept.timestamps_ms[next] == merged->timestamps_ms[i];
    if (is_kept) ++next;
    model::HistogramPtr& histogram = merged->histograms[i];
    if (i > 0 && is_kept != was_kept && histogram != nullptr &&
        histogram->counter_reset != model::CounterReset::kGauge) {
      auto changed = std::make_shared<model::FloatHistogram>(*histogram);
      changed->counter_reset = model::CounterReset::kUnknown;
      histogram = std::move(changed);
    }
    was_kept = is_kept;
  }
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
  const model::SampleColumns kept =
      TakeTail(static_cast<std::size_t>(at - times.begin()), out);
  model::SampleColumns merged = kept;
  storage::MergeColumns(chunk, &merged);
  ForgetResets(kept, &merged);
  out->AppendRange(merged, 0, merged.size());
}

/// The samples of columns. A staleness marker that ends
/// histograms is one of them.
std::vector<StoredSample> StoredSamples(const model::SampleColumns& samples) {
  std::vector<StoredSample> stored(samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    StoredSample& sample = stored[i];
    sample.timestamp_ms = samples.timestamps_ms[i];
    sample.value = samples.values[i];
    if (!samples.starts_ms.empty()) sample.start_ms = samples.starts_ms[i];
    if (samples.histograms.empty()) continue;
    sample.histogram.floating = samples.histograms[i];
    if (i > 0 && model::IsStaleNan(sample.value) && !stored[i - 1].is_float()) {
      auto stale = std::make_shared<model::FloatHistogram>();
      stale->sum = sample.value;
      stale->counter_reset = stored[i - 1].histogram.floating->counter_reset ==
                                     model::CounterReset::kGauge
                                 ? model::CounterReset::kGauge
                                 : model::CounterReset::kUnknown;
      sample.histogram.floating = std::move(stale);
    }
  }
  return stored;
}

class DecodedSeries : public storage::Series {
 public:
  DecodedSeries(storage::ChunkSeries series, storage::TimeRange range)
      : series_(std::move(series)), range_(range) {}

  const model::Labels& labels() const override { return series_.labels; }
  absl::Status Read(model::SampleColumns* out) const override {
    absl::Status status = DecodeChunks(series_.chunks, range_, out);
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
  absl::StatusOr<bool> NextSamples(model::Labels* labels,
                                   model::SampleColumns* samples) override {
    if (!set_->Next(&current_)) {
      NARTHEX_RETURN_IF_ERROR(set_->status());
      return false;
    }
    std::swap(*labels, current_.labels);
    samples->clear();
    const absl::Status status = DecodeChunks(current_.chunks, range_, samples);
    if (status.ok()) return true;
    return base::Annotate(status,
                          absl::StrCat("series ", labels->ToMetricString()));
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
  switch (chunk.encoding) {
    case storage::Encoding::kXor: {
      NARTHEX_RETURN_IF_ERROR(DecodeXorChunk(chunk.bytes, range, out));
      // The other columns are there when earlier chunks needed them.
      if (!out->histograms.empty()) out->histograms.resize(out->size());
      if (!out->starts_ms.empty()) out->starts_ms.resize(out->size());
      return absl::OkStatus();
    }
    case storage::Encoding::kXor2:
      return DecodeXor2Chunk(chunk.bytes, range, out);
    case storage::Encoding::kHistogram:
    case storage::Encoding::kFloatHistogram:
    case storage::Encoding::kHistogramSt:
    case storage::Encoding::kFloatHistogramSt:
      return DecodeHistogramChunk(chunk.encoding, chunk.bytes, range, out);
    case storage::Encoding::kNone:
      break;
  }
  return absl::DataLossError(absl::StrCat("unknown chunk encoding ",
                                          static_cast<int>(chunk.encoding)));
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
  if (!samples.histograms.empty() || !samples.starts_ms.empty()) {
    return EncodeStored(StoredSamples(samples), samples_per_chunk, chunks);
  }
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
