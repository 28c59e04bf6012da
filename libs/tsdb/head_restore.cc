#include <algorithm>
#include <array>
#include <utility>

#include "libs/base/status.h"
#include "libs/tsdb/head.h"

namespace narthex::tsdb {
absl::StatusOr<storage::SeriesRef> Head::ReplaySeries(const RefSeries& declared,
                                                      std::uint64_t hash) {
  SeriesId id = IdOf(declared.ref);
  base::MutexLock lock(index_mutex_);
  // Never given to another series: the log would be ambiguous.
  last_id_ = std::max(last_id_, id);
  if (const auto known = index_.Find(declared.labels, hash)) return *known;
  if (declared.labels.empty()) return 0;
  NARTHEX_RETURN_IF_ERROR(
      limit_.AdmitReplayed(replayed_bytes_, declared.labels));
  // References of Prometheus only grow and may not fit; a log may also use one
  // for two series.
  const bool renumbered = id == 0 || index_.Has(id);
  if (renumbered) {
    NARTHEX_ASSIGN_OR_RETURN(id, NextId());
    renumbered_.push_back(id);
  }
  index_.Add(id, declared.labels, hash);
  Shard& shard = shards_[ShardOf(id)];
  base::MutexLock shard_lock(shard.mutex);
  shard.series.Make(id).set_logged(!renumbered);
  metrics_.series_created.Inc();
  return id;
}

absl::Status Head::DeclareRenumbered() {
  constexpr std::size_t kSeriesOfRecord = 4096;
  Postings ids;
  {
    base::MutexLock lock(index_mutex_);
    ids.swap(renumbered_);
  }
  absl::Span<const SeriesId> rest = ids;
  while (!rest.empty()) {
    const auto some = rest.subspan(0, kSeriesOfRecord);
    rest.remove_prefix(some.size());
    std::string record;
    EncodeDeclarations(some, &record);
    NARTHEX_RETURN_IF_ERROR(wal_->Log({&record, 1}));
    for (const SeriesId id : some) {
      Shard& shard = shards_[ShardOf(id)];
      base::MutexLock lock(shard.mutex);
      MemSeries* series = shard.series.Find(id);
      if (series != nullptr) series->set_logged();
    }
  }
  return absl::OkStatus();
}

void Head::MeasureReplayed() {
  if (bounds().memory_budget_bytes > 0) replayed_bytes_ = memory().total();
}

void Head::ForgetUnused() { RemoveSeries(CollectGarbage(min_valid_time())); }

std::int64_t Head::LastTimeOf(SeriesId id) const {
  const Shard& shard = shards_[ShardOf(id)];
  base::ReaderMutexLock lock(shard.mutex);
  const MemSeries* series = shard.series.Find(id);
  if (series == nullptr) return model::kMinTime;
  return RangeOf(shard.histograms, shard.blocks, id, *series).max_ms;
}

void Head::ReplayTombstone(const RefTombstone& tombstone) {
  base::MutexLock lock(tombstones_mutex_);
  AddInterval(tombstone.range, &tombstones_[tombstone.ref]);
}

std::size_t Head::ReplayShard(std::uint32_t number,
                              const ReplayRecord& record) {
  // The series of some samples are looked up first, so that their memory is
  // on its way when it is needed.
  constexpr std::size_t kAhead = 16;
  std::array<MemSeries*, kAhead> found{};
  const std::int64_t min_valid_ms = min_valid_time_.load();
  const bool with_starts = options_.start_times && !record.starts_ms.empty();
  Applied applied;
  {
    Shard& shard = shards_[number];
    base::MutexLock lock(shard.mutex);
    PagedArray<MemSeries>::Cursor cursor(shard.series);
    absl::Span<const std::uint32_t> indices =
        record.samples_by_shard.Of(number);
    while (!indices.empty()) {
      const auto some = indices.subspan(0, kAhead);
      indices.remove_prefix(some.size());
      for (std::size_t i = 0; i < some.size(); ++i) {
        found[i] = cursor.Find(IdOf(record.samples[some[i]].ref));
        if (found[i] != nullptr) found[i]->Prefetch(shard.blocks);
      }
      for (std::size_t i = 0; i < some.size(); ++i) {
        const RefSample& sample = record.samples[some[i]];
        const std::int64_t start_ms =
            with_starts ? record.starts_ms[some[i]] : 0;
        if (ReplayFloat(sample, start_ms, found[i], shard, min_valid_ms,
                        applied)) {
          shard.cut.push_back(IdOf(sample.ref));
        }
      }
    }
    for (const std::uint32_t i : record.histograms_by_shard.Of(number)) {
      ReplayHistogram(record.histograms[i], shard, min_valid_ms, applied);
    }
  }
  Publish(applied);
  return applied.unknown;
}

// True when a chunk became full.
bool Head::ReplayFloat(const RefSample& sample, std::int64_t start_ms,
                       MemSeries* series, Shard& shard,
                       std::int64_t min_valid_ms, Applied& applied) {
  if (sample.timestamp_ms < min_valid_ms) return false;
  if (series == nullptr) {
    ++applied.unknown;
    return false;
  }
  const MemSeries::Verdict verdict =
      series->has_histograms()
          ? CheckBeside(shard.histograms, shard.blocks, *series, sample)
          : series->Check(shard.blocks, sample.timestamp_ms, sample.value);
  return verdict == MemSeries::Verdict::kNew &&
         AppendFloat(sample, start_ms, *series, shard, applied);
}

void Head::ReplayHistogram(RefHistogram sample, Shard& shard,
                           std::int64_t min_valid_ms, Applied& applied) {
  if (sample.timestamp_ms < min_valid_ms || !MakeStorable(&sample)) return;
  if (!options_.histogram_start_times) sample.start_ms = 0;
  const SeriesId id = IdOf(sample.ref);
  MemSeries* series = shard.series.Find(id);
  if (series == nullptr) {
    ++applied.unknown;
    return;
  }
  const MixedSeries mixed(shard.blocks, *series,
                          HistogramsOf(shard.histograms, id, *series));
  if (mixed.Check(sample.timestamp_ms, sample.value) ==
      MemSeries::Verdict::kNew) {
    AppendHistogram(sample, *series, shard, applied);
  }
}

std::size_t Head::ReplayExemplars(absl::Span<const RefExemplar> exemplars) {
  if (exemplars_ == nullptr) return 0;
  std::size_t unknown = 0;
  for (const RefExemplar& one : exemplars) {
    const std::optional<model::Labels> labels = LabelsOf(one.ref);
    if (labels.has_value()) {
      exemplars_->Restore(*labels, {one.labels, one.value, one.timestamp_ms});
    } else {
      ++unknown;
    }
  }
  return unknown;
}

}  // namespace narthex::tsdb
