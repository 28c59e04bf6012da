#include <algorithm>
#include <utility>

#include "libs/base/status.h"
#include "libs/tsdb/chunk_header.h"
#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/chunk_snapshot_records.h"
#include "libs/tsdb/head.h"
#include "libs/tsdb/start_chunks.h"
#include "libs/tsdb/stored_sample.h"

namespace narthex::tsdb {
namespace {

/// The end of what a series has; the earliest time of all when it has nothing.
std::int64_t EndOf(const MemSeries::Arena& arena, const MemSeries& floats,
                   const HistogramSeries* histograms) {
  std::int64_t end = model::kMinTime;
  if (!floats.empty()) end = floats.max_ms(arena);
  if (histograms != nullptr && !histograms->empty()) {
    end = std::max(end, histograms->max_ms());
  }
  return end;
}

}  // namespace

void Head::PrepareSnapshot() {
  { const ApplyGate::Measuring all_passed(append_gate_); }
  for (Shard& shard : shards_) {
    base::MutexLock lock(shard.mutex);
    for (auto& [id, own] : shard.histograms) {
      MemSeries* series = shard.series.Find(id);
      if (series == nullptr) continue;
      const bool closed =
          MixedSeries(shard.blocks, *series, &own).histogram_is_last()
              ? series->CloseChunk(shard.blocks)
              : own.CloseChunk();
      if (closed) shard.cut.push_back(id);
    }
  }
}

absl::Status Head::SnapshotShard(std::uint32_t number,
                                 const PutRecords& put) const {
  constexpr std::size_t kBytesAtOnce = 4 << 20;
  std::vector<std::string> records;
  std::size_t bytes = 0;
  const auto flush = [&]() -> absl::Status {
    NARTHEX_RETURN_IF_ERROR(put(records));
    records.clear();
    bytes = 0;
    return absl::OkStatus();
  };
  base::ReaderMutexLock index_lock(index_mutex_);
  const Shard& shard = shards_[number];
  base::ReaderMutexLock lock(shard.mutex);
  std::vector<SeriesId> ids;
  shard.series.ForEach(
      [&ids](SeriesId id, const MemSeries&) { ids.push_back(id); });
  std::sort(ids.begin(), ids.end());
  std::vector<storage::Chunk> chunks;
  for (const SeriesId id : ids) {
    const MemSeries& series = *shard.series.Find(id);
    // Its first sample is to declare it in the log.
    if (!series.logged()) continue;
    SnapshotSeries one;
    one.declared.ref = id;
    if (!index_.LabelsOf(id, &one.declared.labels)) continue;
    const HistogramSeries* own = HistogramsOf(shard.histograms, id, series);
    const std::int64_t end = EndOf(shard.blocks, series, own);
    chunks.clear();
    if (MixedSeries(shard.blocks, series, own).histogram_is_last()) {
      own->CopyChunks({end, end}, &chunks);
    } else {
      series.CopyChunks(shard.blocks, {end, end}, &chunks);
    }
    if (!chunks.empty()) one.newest = std::move(chunks.back());
    if (const StartRuns* starts = StartsOf(shard.starts, id, series);
        starts != nullptr && !chunks.empty()) {
      NARTHEX_ASSIGN_OR_RETURN(one.newest, WithStartTimes(one.newest, *starts));
    }
    std::string record;
    NARTHEX_RETURN_IF_ERROR(EncodeSnapshotSeries(
        one, series.empty() ? 0 : series.last_value(), &record));
    bytes += record.size();
    records.push_back(std::move(record));
    if (bytes >= kBytesAtOnce) NARTHEX_RETURN_IF_ERROR(flush());
  }
  return flush();
}

Tombstones Head::tombstones() const {
  base::ReaderMutexLock lock(tombstones_mutex_);
  return tombstones_;
}

std::vector<RefExemplar> Head::ListExemplars() const {
  std::vector<RefExemplar> exemplars;
  if (exemplars_ == nullptr) return exemplars;
  WithIndex([&](const LabelIndex& index) {
    exemplars_->ForEach(
        [&](const model::Labels& labels, const model::Exemplar& one) {
          const auto id = index.Find(labels);
          if (!id.has_value()) return;
          exemplars.push_back({*id, one.timestamp_ms, one.value, one.labels});
        });
  });
  return exemplars;
}

std::optional<SeriesId> Head::Find(const model::Labels& labels) const {
  base::ReaderMutexLock lock(index_mutex_);
  return index_.Find(labels);
}

SeriesId Head::last_id() const {
  base::ReaderMutexLock lock(index_mutex_);
  return last_id_;
}

void Head::RaiseLastId(SeriesId id) {
  base::MutexLock lock(index_mutex_);
  last_id_ = std::max(last_id_, id);
}

absl::Status Head::RestoreShard(std::uint32_t number,
                                absl::Span<const StoredSeries> stored) {
  Applied applied;
  {
    Shard& shard = shards_[number];
    base::MutexLock lock(shard.mutex);
    for (const StoredSeries& one : stored) {
      MemSeries* series = shard.series.Find(one.id);
      if (series == nullptr) continue;
      NARTHEX_RETURN_IF_ERROR(RestoreSeries(one, *series, shard, applied));
    }
  }
  if (applied.oldest <= applied.newest) {
    ExtendTimes(applied.oldest, applied.newest);
  }
  Publish(applied);
  return absl::OkStatus();
}

absl::Status Head::RestoreSeries(const StoredSeries& stored, MemSeries& series,
                                 Shard& shard, Applied& applied) {
  NARTHEX_RETURN_IF_ERROR(RestoreFull(stored, series, shard));
  NARTHEX_RETURN_IF_ERROR(RestoreNewest(stored, series, shard));
  const auto own = shard.histograms.find(stored.id);
  if (own != shard.histograms.end()) {
    series.set_has_histograms(true);
    applied.chunks += own->second.chunk_count();
    if (own->second.has_heap_chunks()) shard.cut.push_back(stored.id);
  }
  applied.chunks += series.chunk_count(shard.blocks);
  if (IsStale(shard.histograms, shard.blocks, stored.id, series))
    ++applied.stale;
  const storage::TimeRange range =
      RangeOf(shard.histograms, shard.blocks, stored.id, series);
  applied.oldest = std::min(applied.oldest, range.min_ms);
  applied.newest = std::max(applied.newest, range.max_ms);
  return absl::OkStatus();
}

absl::Status Head::RestoreFull(const StoredSeries& stored, MemSeries& series,
                               Shard& shard) {
  for (const storage::Chunk& chunk : stored.full) {
    if (KeepsStarts(chunk.encoding) || series.has_starts()) {
      NARTHEX_RETURN_IF_ERROR(NoteStarts(stored.id, chunk, series, shard));
    }
    if (IsHistogramEncoding(chunk.encoding)) {
      NARTHEX_RETURN_IF_ERROR(shard.histograms[stored.id].AddMapped(chunk));
      continue;
    }
    // Its last value is of interest while nothing follows.
    double last_value = 0;
    if (&chunk == &stored.full.back() && stored.newest.max_ms <= chunk.max_ms) {
      model::SampleColumns last;
      NARTHEX_RETURN_IF_ERROR(
          DecodeChunk(chunk, {chunk.max_ms, chunk.max_ms}, &last));
      if (!last.empty()) last_value = last.values.back();
    }
    series.AddMapped(shard.blocks, chunk.min_ms, chunk.max_ms, last_value,
                     chunk.bytes, options_.chunks, chunk.encoding);
  }
  return absl::OkStatus();
}

// Of the newest chunk, what is in files already is left out: it went there
// after the snapshot.
absl::Status Head::RestoreNewest(const StoredSeries& stored, MemSeries& series,
                                 Shard& shard) {
  const storage::Chunk& newest = stored.newest;
  const std::int64_t end =
      stored.full.empty() ? model::kMinTime : stored.full.back().max_ms;
  if (newest.bytes.empty() || newest.max_ms <= end) return absl::OkStatus();
  const storage::TimeRange missing{end + 1, model::kMaxTime};
  const bool keeps_starts = KeepsStarts(newest.encoding);
  if (!IsHistogramEncoding(newest.encoding)) {
    model::SampleColumns samples;
    NARTHEX_RETURN_IF_ERROR(DecodeChunk(newest, missing, &samples));
    bool filled = false;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      filled |= series
                    .Append(shard.blocks, samples.timestamps_ms[i],
                            samples.values[i], options_.chunks)
                    .filled;
      NoteStart(
          stored.id, samples.timestamps_ms[i],
          keeps_starts && !samples.starts_ms.empty() ? samples.starts_ms[i] : 0,
          series, shard);
    }
    if (filled) shard.cut.push_back(stored.id);
    return absl::OkStatus();
  }
  HistogramSeries& own = shard.histograms[stored.id];
  if (newest.min_ms > end) {
    if (keeps_starts || series.has_starts()) {
      NARTHEX_RETURN_IF_ERROR(NoteStarts(stored.id, newest, series, shard));
    }
    NARTHEX_ASSIGN_OR_RETURN(const storage::Chunk plain,
                             WithoutStartTimes(newest));
    return own.Resume(plain, options_.chunks);
  }
  std::vector<StoredSample> samples;
  NARTHEX_RETURN_IF_ERROR(DecodeStored(newest, missing, &samples));
  for (const StoredSample& sample : samples) {
    own.Append(sample.timestamp_ms, sample.histogram, options_.chunks);
    NoteStart(stored.id, sample.timestamp_ms,
              keeps_starts ? sample.start_ms : 0, series, shard);
  }
  return absl::OkStatus();
}

}  // namespace narthex::tsdb
