#include "libs/tsdb/head.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/status.h"
#include "libs/tsdb/start_chunks.h"

namespace narthex::tsdb {
namespace {

constexpr std::chrono::seconds kMostWaitForReaders{60};

void Raise(std::int64_t to, std::atomic<std::int64_t>& value) {
  std::int64_t known = value.load();
  while (to > known && !value.compare_exchange_weak(known, to)) {
  }
}

}  // namespace

Head::Head(const HeadOptions& options, SeriesLimit& limit, base::Logger logger,
           TsdbMetrics& metrics)
    : options_(options),
      limit_(limit),
      logger_(std::move(logger)),
      metrics_(metrics) {}

absl::StatusOr<storage::SeriesRef> Head::GetOrCreateSeries(
    const model::Labels& labels) {
  if (labels.empty()) {
    return absl::InvalidArgumentError("a series needs at least one label");
  }
  const std::uint64_t hash = labels.Hash();
  {
    base::ReaderMutexLock lock(index_mutex_);
    if (const auto id = index_.Find(labels, hash)) {
      Shard& shard = shards_[ShardOf(*id)];
      base::MutexLock shard_lock(shard.mutex);
      MemSeries* series = shard.series.Find(*id);
      if (series != nullptr) series->set_fresh(true);
      return *id;
    }
  }
  base::MutexLock lock(index_mutex_);
  if (const auto id = index_.Find(labels, hash)) return *id;
  NARTHEX_RETURN_IF_ERROR(limit_.Admit(index_.series_count(), labels));
  NARTHEX_ASSIGN_OR_RETURN(const SeriesId id, NextId());
  index_.Add(id, labels, hash);
  Shard& shard = shards_[ShardOf(id)];
  base::MutexLock shard_lock(shard.mutex);
  shard.series.Make(id);
  metrics_.series_created.Inc();
  return id;
}

absl::StatusOr<SeriesId> Head::NextId() {
  if (last_id_ == std::numeric_limits<SeriesId>::max()) {
    return absl::ResourceExhaustedError(
        "all series references are used up; a new data directory is needed");
  }
  return ++last_id_;
}

std::optional<model::Labels> Head::LabelsOf(storage::SeriesRef ref) const {
  base::ReaderMutexLock lock(index_mutex_);
  model::Labels labels;
  if (!index_.LabelsOf(IdOf(ref), &labels)) return std::nullopt;
  return labels;
}

bool Head::HasSeries(storage::SeriesRef ref) const {
  base::ReaderMutexLock lock(index_mutex_);
  return index_.Has(IdOf(ref));
}

std::size_t Head::series_count() const {
  base::ReaderMutexLock lock(index_mutex_);
  return index_.series_count();
}

Head::Memory Head::memory() const {
  Memory memory;
  {
    base::ReaderMutexLock lock(index_mutex_);
    memory.index = index_.memory();
  }
  for (const Shard& shard : shards_) {
    base::ReaderMutexLock lock(shard.mutex);
    memory.series += shard.series.allocated_bytes();
    memory.samples += shard.blocks.allocated_bytes();
    for (const auto& [id, series] : shard.histograms) {
      memory.histograms += sizeof(series) + series.heap_bytes();
    }
    for (const auto& [id, starts] : shard.starts) {
      memory.samples += sizeof(starts) + starts.allocated_bytes();
    }
  }
  return memory;
}

Head::LastHistograms Head::last_histograms() const {
  LastHistograms all;
  for (const Shard& shard : shards_) {
    base::ReaderMutexLock lock(shard.mutex);
    for (const auto& [id, histograms] : shard.histograms) {
      const MemSeries* series = shard.series.Find(id);
      if (series == nullptr || !MixedSeries(shard.blocks, *series, &histograms)
                                    .histogram_is_last()) {
        continue;
      }
      ++all.series;
      all.buckets += histograms.last_bucket_count();
    }
  }
  return all;
}

std::int64_t Head::FirstSampleTime() const {
  std::int64_t first = kNoMinTime;
  for (const Shard& shard : shards_) {
    base::ReaderMutexLock lock(shard.mutex);
    shard.series.ForEach(
        [&first, table = &shard.histograms, blocks = &shard.blocks](
            SeriesId id, const MemSeries& series) {
          first = std::min(first, RangeOf(*table, *blocks, id, series).min_ms);
        });
  }
  return first;
}

void Head::ExtendTimes(std::int64_t min_ms, std::int64_t max_ms) {
  std::int64_t known = min_time_.load();
  while (min_ms < known && !min_time_.compare_exchange_weak(known, min_ms)) {
  }
  Raise(max_ms, max_time_);
}

void Head::SetMinValidTime(std::int64_t min_ms) {
  // Under this lock, so that every selection either clamps its range to the
  // new bound or is waited for.
  base::MutexLock lock(readers_mutex_);
  Raise(min_ms, min_valid_time_);
  Raise(min_ms, closed_before_);
}

void Head::CloseTimeBefore(std::int64_t min_ms) {
  Raise(min_ms, closed_before_);
  const ApplyGate::Measuring all_passed(append_gate_);
}

std::uint64_t Head::BeginReading(storage::TimeRange* range) const {
  base::MutexLock lock(readers_mutex_);
  // What is out of order reaches back further, and its series must stay.
  const bool reads_out_of_order = range->min_ms <= out_of_order_max_.load() &&
                                  range->max_ms >= out_of_order_min_.load();
  range->min_ms = std::max(range->min_ms, min_valid_time_.load());
  readers_.emplace(++last_reader_,
                   reads_out_of_order ? model::kMinTime : range->min_ms);
  return last_reader_;
}

void Head::EndReading(std::uint64_t reader) const {
  base::MutexLock lock(readers_mutex_);
  readers_.erase(reader);
  reader_left_.NotifyAll();
}

void Head::WaitForReaders(std::int64_t min_ms) {
  base::MutexLock lock(readers_mutex_);
  const auto disturbed = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(readers_mutex_) {
    return std::any_of(
        readers_.begin(), readers_.end(),
        [min_ms](const auto& reader) { return reader.second < min_ms; });
  };
  const auto deadline = std::chrono::steady_clock::now() + kMostWaitForReaders;
  while (disturbed()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      logger_.Warn("head truncated under selections that take too long");
      return;
    }
    reader_left_.WaitFor(readers_mutex_, left);
  }
}

void Head::Truncate(std::int64_t min_ms) {
  metrics_.truncations.Inc();
  SetMinValidTime(min_ms);
  WaitForReaders(min_ms);
  const std::int64_t start = base::Clock::System().MonotonicNs();
  Raise(min_ms, truncated_to_);
  const std::size_t before = series_count();
  RemoveSeries(CollectGarbage(min_ms));
  TruncateTombstones(min_ms);
  Raise(min_ms, min_time_);
  const auto took = base::Clock::System().MonotonicNs() - start;
  metrics_.gc_seconds.Observe(static_cast<double>(took) * 1e-9);
  logger_.Info("head truncated", {{"min_ms", min_ms},
                                  {"series_before", before},
                                  {"series", series_count()}});
}

absl::Status Head::MoveFullChunks(HeadChunkFiles& files) {
  constexpr std::size_t kSeriesAtOnce = 256;
  for (Shard& shard : shards_) {
    std::vector<SeriesId> cut;
    {
      base::MutexLock lock(shard.mutex);
      cut.swap(shard.cut);
    }
    std::sort(cut.begin(), cut.end());
    cut.erase(std::unique(cut.begin(), cut.end()), cut.end());
    absl::Span<const SeriesId> rest = cut;
    while (!rest.empty()) {
      const auto some = rest.subspan(0, kSeriesAtOnce);
      const absl::Status status = MoveChunksOf(shard, some, files);
      if (!status.ok()) {
        base::MutexLock lock(shard.mutex);
        shard.cut.insert(shard.cut.end(), rest.begin(), rest.end());
        return status;
      }
      rest.remove_prefix(some.size());
    }
  }
  return absl::OkStatus();
}

// The files are written without the lock: only Truncate frees full chunks.
absl::Status Head::MoveChunksOf(Shard& shard, absl::Span<const SeriesId> ids,
                                HeadChunkFiles& files) {
  std::vector<HeadChunk> chunks;
  std::vector<std::unique_ptr<std::string>> bytes;
  std::vector<storage::Chunk> histograms;  // Likewise of the rest of chunks.
  std::vector<StartRuns> starts;           // Of `chunks` that have some.
  std::vector<std::size_t> starting;       // Which ones these are.
  std::size_t floats = 0;
  {
    base::ReaderMutexLock lock(shard.mutex);
    for (const SeriesId id : ids) {
      const MemSeries* series = shard.series.Find(id);
      if (series == nullptr) continue;
      const std::size_t first = chunks.size();
      series->CollectArenaChunks(shard.blocks, id, &chunks, &bytes);
      const StartRuns* own_starts = StartsOf(shard.starts, id, *series);
      for (std::size_t i = first; own_starts && i < chunks.size(); ++i) {
        starting.push_back(i);
        starts.push_back(*own_starts);
      }
    }
    floats = chunks.size();
    for (const SeriesId id : ids) {
      const auto own = shard.histograms.find(id);
      if (own == shard.histograms.end()) continue;
      const MemSeries* series = shard.series.Find(id);
      const StartRuns* own_starts =
          series == nullptr ? nullptr : StartsOf(shard.starts, id, *series);
      for (const storage::Chunk& chunk : own->second.heap_chunks()) {
        if (own_starts != nullptr) {
          starting.push_back(chunks.size());
          starts.push_back(*own_starts);
        }
        chunks.push_back(
            {id, chunk.min_ms, chunk.max_ms, chunk.bytes, chunk.encoding});
        histograms.push_back(chunk);
      }
    }
  }
  std::vector<storage::Chunk> encoded(starting.size());
  for (std::size_t i = 0; i < starting.size(); ++i) {
    HeadChunk& chunk = chunks[starting[i]];
    NARTHEX_ASSIGN_OR_RETURN(
        encoded[i], WithStartTimes({chunk.min_ms, chunk.max_ms, chunk.encoding,
                                    chunk.bytes, nullptr},
                                   starts[i]));
    chunk.bytes = encoded[i].bytes;
    chunk.encoding = encoded[i].encoding;
  }
  std::vector<absl::string_view> mapped;
  NARTHEX_RETURN_IF_ERROR(files.Write(chunks, &mapped));
  metrics_.chunks_mapped.Inc(static_cast<double>(chunks.size()));
  base::MutexLock lock(shard.mutex);
  for (std::size_t i = 0; i < floats; ++i) {
    MemSeries* series = shard.series.Find(static_cast<SeriesId>(chunks[i].ref));
    if (series == nullptr) continue;
    series->UseMapped(shard.blocks, chunks[i].min_ms, mapped[i],
                      chunks[i].encoding);
  }
  for (std::size_t i = floats; i < chunks.size(); ++i) {
    const auto own =
        shard.histograms.find(static_cast<SeriesId>(chunks[i].ref));
    if (own == shard.histograms.end()) continue;
    storage::Chunk& moved = histograms[i - floats];
    moved.bytes = mapped[i];
    moved.encoding = chunks[i].encoding;
    moved.owner = files.Locate(mapped[i]).owner;
    own->second.ReplaceHeapChunk(std::move(moved));
  }
  return absl::OkStatus();
}

// Drops old chunks; returns the series without any, ascending.
Postings Head::CollectGarbage(std::int64_t min_ms) {
  Postings empty;
  std::size_t chunks = 0;
  std::int64_t stale = 0;
  for (Shard& shard : shards_) {
    base::MutexLock lock(shard.mutex);
    shard.series.ForEach(
        [&, table = &shard.histograms, blocks = &shard.blocks,
         starts = &shard.starts](SeriesId id, MemSeries& series) {
          if (IsStale(*table, *blocks, id, series)) --stale;
          chunks += series.Truncate(*blocks, min_ms);
          if (series.has_histograms()) {
            const auto own = table->find(id);
            chunks += own->second.Truncate(min_ms);
            if (own->second.empty()) {
              table->erase(own);
              series.set_has_histograms(false);
            }
          }
          if (series.has_starts()) {
            const auto own = starts->find(id);
            own->second.Truncate(min_ms);
            if (own->second.empty() ||
                (series.empty() && !series.has_histograms())) {
              starts->erase(own);
              series.set_has_starts(false);
            }
          }
          if (IsStale(*table, *blocks, id, series)) ++stale;
          if (!series.empty() || series.has_histograms()) return;
          // Who has just been given the reference may be about to append.
          if (!series.fresh()) empty.push_back(id);
          series.set_fresh(false);
        });
    shard.blocks.Trim();
  }
  stale_series_ += stale;
  chunks_ -= static_cast<std::int64_t>(chunks);
  metrics_.chunks_removed.Inc(static_cast<double>(chunks));
  std::sort(empty.begin(), empty.end());
  return empty;
}

std::size_t Head::RemovedAtOnce(std::size_t series) {
  constexpr std::size_t kParts = 64;
  constexpr std::size_t kLeast = 4096;
  return std::max(kLeast, series / kParts);
}

void Head::RemoveSeries(const Postings& candidates) {
  const std::size_t at_once = RemovedAtOnce(candidates.size());
  absl::Span<const SeriesId> rest = candidates;
  while (!rest.empty()) {
    const auto some = rest.subspan(0, at_once);
    rest.remove_prefix(some.size());
    RemoveSome(some);
  }
}

void Head::RemoveSome(absl::Span<const SeriesId> candidates) {
  base::MutexLock lock(index_mutex_);
  Postings gone;
  for (const SeriesId id : candidates) {
    Shard& shard = shards_[ShardOf(id)];
    base::MutexLock shard_lock(shard.mutex);
    const MemSeries* series = shard.series.Find(id);
    // It may have been asked for or appended to in the meantime.
    if (series == nullptr || !series->empty() || series->has_histograms() ||
        series->fresh() || shard.out_of_order.contains(id)) {
      continue;
    }
    shard.series.Erase(id);
    gone.push_back(id);
  }
  index_.Remove(gone);
  metrics_.series_removed.Inc(static_cast<double>(gone.size()));
}

void Head::TruncateTombstones(std::int64_t min_ms) {
  min_ms = std::min(min_ms, out_of_order_min_.load());
  base::MutexLock lock(tombstones_mutex_);
  for (auto it = tombstones_.begin(); it != tombstones_.end();) {
    std::erase_if(it->second, [min_ms](const storage::TimeRange& range) {
      return range.max_ms < min_ms;
    });
    it = it->second.empty() ? tombstones_.erase(it) : std::next(it);
  }
}

}  // namespace narthex::tsdb
