#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "libs/base/status.h"
#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/head.h"

namespace narthex::tsdb {
namespace {

// What Prometheus aims at, and other readers expect.
constexpr int kSamplesPerChunk = 120;

std::int64_t AlignDown(std::int64_t time_ms, std::int64_t span_ms) {
  const std::int64_t rest = time_ms % span_ms;
  return time_ms - (rest < 0 ? rest + span_ms : rest);
}

}  // namespace

void Head::SetOutOfOrder(std::int64_t window_ms, Wal* wbl) {
  if (wbl != nullptr) wbl_ = wbl;
  out_of_order_window_ms_ = window_ms;
}

void Head::ExtendOutOfOrderTimes(const storage::TimeRange& range) {
  std::int64_t known = out_of_order_min_.load();
  while (range.min_ms < known &&
         !out_of_order_min_.compare_exchange_weak(known, range.min_ms)) {
  }
  known = out_of_order_max_.load();
  while (range.max_ms > known &&
         !out_of_order_max_.compare_exchange_weak(known, range.max_ms)) {
  }
}

void Head::SealOutOfOrder() {
  // What was logged before now is applied once those under way have passed.
  { const ApplyGate::Measuring all_passed(append_gate_); }
  for (Shard& shard : shards_) {
    base::MutexLock lock(shard.mutex);
    for (auto& [id, series] : shard.out_of_order) series.Seal();
  }
}

void Head::DropSealed() {
  std::size_t chunks = 0;
  // Appends must not widen the bounds while they are taken anew.
  const ApplyGate::Measuring measuring(gate_);
  storage::TimeRange left{kNoMinTime, kNoMaxTime};
  for (Shard& shard : shards_) {
    base::MutexLock lock(shard.mutex);
    for (auto it = shard.out_of_order.begin();
         it != shard.out_of_order.end();) {
      const auto series = it++;
      chunks += series->second.DropSealed();
      if (series->second.empty()) {
        shard.out_of_order.erase(series);
        continue;
      }
      const storage::TimeRange range = series->second.range();
      left = {std::min(left.min_ms, range.min_ms),
              std::max(left.max_ms, range.max_ms)};
    }
  }
  out_of_order_min_ = left.min_ms;
  out_of_order_max_ = left.max_ms;
  chunks_ -= static_cast<std::int64_t>(chunks);
  metrics_.chunks_removed.Inc(static_cast<double>(chunks));
}

absl::Status Head::MoveOutOfOrderChunks(HeadChunkFiles& files) {
  if (!has_out_of_order()) return absl::OkStatus();
  for (Shard& shard : shards_) {
    NARTHEX_RETURN_IF_ERROR(MoveOutOfOrderOf(shard, files));
  }
  return absl::OkStatus();
}

// The files are written without the lock: appends only add chunks.
absl::Status Head::MoveOutOfOrderOf(Shard& shard, HeadChunkFiles& files) {
  std::vector<HeadChunk> chunks;
  std::vector<storage::Chunk> moved;
  {
    base::ReaderMutexLock lock(shard.mutex);
    for (const auto& [id, series] : shard.out_of_order) {
      for (const storage::Chunk& chunk : series.heap_chunks()) {
        chunks.push_back({id, chunk.min_ms, chunk.max_ms, chunk.bytes,
                          chunk.encoding, /*out_of_order=*/true});
        moved.push_back(chunk);
      }
    }
  }
  if (chunks.empty()) return absl::OkStatus();
  std::vector<absl::string_view> mapped;
  NARTHEX_RETURN_IF_ERROR(files.Write(chunks, &mapped));
  metrics_.chunks_mapped.Inc(static_cast<double>(chunks.size()));
  std::vector<RefMmapMarker> markers;
  {
    base::MutexLock lock(shard.mutex);
    for (std::size_t i = 0; i < chunks.size(); ++i) {
      HeadChunkFiles::Location location = files.Locate(mapped[i]);
      markers.push_back({chunks[i].ref, location.file_ref});
      moved[i].bytes = mapped[i];
      moved[i].owner = std::move(location.owner);
      const auto it =
          shard.out_of_order.find(static_cast<SeriesId>(chunks[i].ref));
      if (it != shard.out_of_order.end()) {
        it->second.ReplaceHeapChunk(std::move(moved[i]));
      }
    }
  }
  return LogMarkers(shard, markers);
}

// A marker says that all samples of its series up to it are in mapped chunks;
// those that are not follow it once more.
absl::Status Head::LogMarkers(Shard& shard,
                              const std::vector<RefMmapMarker>& markers) {
  Wal* const wbl = wbl_.load();
  if (wbl == nullptr) return absl::OkStatus();
  // No append may have logged samples that are not in memory yet.
  const ApplyGate::Measuring alone(append_gate_);
  StartingSamples samples;
  std::vector<RefHistogram> histograms;
  {
    base::ReaderMutexLock lock(shard.mutex);
    storage::SeriesRef last = 0;
    for (const RefMmapMarker& marker : markers) {
      if (marker.ref == last) continue;
      last = marker.ref;
      const auto it = shard.out_of_order.find(static_cast<SeriesId>(last));
      if (it == shard.out_of_order.end()) continue;
      it->second.CopyHeapSamples(last, &samples, &histograms);
    }
  }
  std::vector<std::string> records(2);
  EncodeMmapMarkers(markers, &records[0]);
  EncodeSamples(samples.samples, samples.starts_ms, &records[1]);
  EncodeHistograms(histograms, &records);
  return wbl->Log(records);
}

absl::StatusOr<std::vector<std::int64_t>> Head::OutOfOrderTimes(
    SeriesId id, const storage::TimeRange& range) const {
  std::vector<storage::Chunk> chunks;
  {
    const Shard& shard = shards_[ShardOf(id)];
    base::ReaderMutexLock lock(shard.mutex);
    const auto it = shard.out_of_order.find(id);
    if (it != shard.out_of_order.end()) it->second.Copy(range, &chunks);
  }
  model::SampleColumns samples;
  for (const storage::Chunk& chunk : chunks) {
    NARTHEX_RETURN_IF_ERROR(DecodeChunk(chunk, range, &samples));
  }
  std::sort(samples.timestamps_ms.begin(), samples.timestamps_ms.end());
  return std::move(samples.timestamps_ms);
}

// Reads the series with sealed samples one after the other. Only its own
// caller drops them.
class Head::SealedSet : public storage::ChunkSeriesSet {
 public:
  SealedSet(const Head& head, const storage::TimeRange& range,
            std::vector<Selected> selected)
      : head_(head), range_(range), selected_(std::move(selected)) {}

  bool Next(storage::ChunkSeries* series) override {
    while (status_.ok() && next_ < selected_.size()) {
      status_ = Read(selected_[next_++].id, series);
      if (status_.ok() && !series->chunks.empty()) return true;
    }
    return false;
  }

  absl::Status status() const override { return status_; }

 private:
  absl::Status Read(SeriesId id, storage::ChunkSeries* series) const {
    series->chunks.clear();
    {
      base::ReaderMutexLock lock(head_.index_mutex_);
      head_.index_.LabelsOf(id, &series->labels);
    }
    std::vector<storage::Chunk> sealed;
    {
      const Shard& shard = head_.shards_[ShardOf(id)];
      base::ReaderMutexLock lock(shard.mutex);
      const auto it = shard.out_of_order.find(id);
      if (it != shard.out_of_order.end())
        it->second.CopySealed(range_, &sealed);
    }
    std::stable_sort(sealed.begin(), sealed.end(),
                     [](const storage::Chunk& a, const storage::Chunk& b) {
                       return a.min_ms < b.min_ms;
                     });
    std::vector<StoredSample> samples;
    NARTHEX_RETURN_IF_ERROR(MergeStored(sealed, &samples));
    const Intervals deleted = head_.DeletedOf(id);
    std::erase_if(samples, [&](const StoredSample& sample) {
      const std::int64_t time = sample.timestamp_ms;
      return time < range_.min_ms || time > range_.max_ms ||
             Covers(deleted, {time, time});
    });
    EncodeStored(samples, kSamplesPerChunk, &series->chunks);
    return head_.EncodeForBlock(&series->chunks);
  }

  const Head& head_;
  const storage::TimeRange range_;
  const std::vector<Selected> selected_;
  std::size_t next_ = 0;
  absl::Status status_;
};

std::unique_ptr<storage::ChunkSeriesSet> Head::SelectSealed(
    const storage::TimeRange& range) const {
  std::vector<Selected> selected;
  for (const Shard& shard : shards_) {
    base::ReaderMutexLock lock(shard.mutex);
    for (const auto& [id, series] : shard.out_of_order) {
      const storage::TimeRange held = series.sealed_range();
      if (held.min_ms <= range.max_ms && held.max_ms >= range.min_ms) {
        selected.push_back({id, 0, kNoMaxTime});
      }
    }
  }
  {
    base::ReaderMutexLock lock(index_mutex_);
    index_.SortByLabels(&selected);
  }
  return std::make_unique<SealedSet>(*this, range, std::move(selected));
}

absl::StatusOr<std::set<std::int64_t>> Head::SealedSpans(
    std::int64_t span_ms) const {
  constexpr storage::TimeRange kAll{model::kMinTime, model::kMaxTime};
  std::set<std::int64_t> starts;
  std::vector<storage::Chunk> chunks;
  for (const Shard& shard : shards_) {
    base::ReaderMutexLock lock(shard.mutex);
    for (const auto& [id, series] : shard.out_of_order) {
      series.CopySealed(kAll, &chunks);
    }
  }
  model::SampleColumns samples;
  for (const storage::Chunk& chunk : chunks) {
    samples.clear();
    NARTHEX_RETURN_IF_ERROR(DecodeChunk(chunk, kAll, &samples));
    for (const std::int64_t time : samples.timestamps_ms) {
      starts.insert(AlignDown(time, span_ms));
    }
  }
  return starts;
}

}  // namespace narthex::tsdb
