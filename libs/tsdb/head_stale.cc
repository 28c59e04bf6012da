#include <algorithm>
#include <limits>
#include <string>

#include "libs/tsdb/head.h"

namespace narthex::tsdb {
namespace {

constexpr std::chrono::seconds kMostWaitForReaders{60};

}  // namespace

std::vector<Head::StaleSeries> Head::ListStale() const {
  std::vector<StaleSeries> stale;
  for (const Shard& shard : shards_) {
    base::ReaderMutexLock lock(shard.mutex);
    shard.series.ForEach(
        [&stale, table = &shard.histograms, blocks = &shard.blocks,
         late = &shard.out_of_order](SeriesId id, const MemSeries& series) {
          if (!IsStale(*table, *blocks, id, series) || late->contains(id)) {
            return;
          }
          const storage::TimeRange range = RangeOf(*table, *blocks, id, series);
          stale.push_back({id, range.min_ms, range.max_ms});
        });
  }
  std::sort(
      stale.begin(), stale.end(),
      [](const StaleSeries& a, const StaleSeries& b) { return a.id < b.id; });
  return stale;
}

absl::StatusOr<std::unique_ptr<storage::ChunkSeriesSet>> Head::SelectStale(
    storage::TimeRange range, const std::vector<StaleSeries>& stale) const {
  Postings ids;
  ids.reserve(stale.size());
  for (const StaleSeries& one : stale) ids.push_back(one.id);
  return SelectIds(range, ids, Edges::kTrimmed);
}

bool Head::WaitForReadersUnderWay() {
  base::MutexLock lock(readers_mutex_);
  const std::uint64_t last = last_reader_;
  const auto deadline = std::chrono::steady_clock::now() + kMostWaitForReaders;
  while (!readers_.empty() && readers_.begin()->first <= last) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    reader_left_.WaitFor(readers_mutex_, left);
  }
  return true;
}

std::size_t Head::ForgetStale(const std::vector<StaleSeries>& stale) {
  // Whoever selects from now on sees the blocks as well.
  if (!WaitForReadersUnderWay()) return 0;
  std::vector<RefTombstone> moved;
  const std::size_t at_once = RemovedAtOnce(stale.size());
  absl::Span<const StaleSeries> rest = stale;
  while (!rest.empty()) {
    const auto some = rest.subspan(0, at_once);
    rest.remove_prefix(some.size());
    ForgetSome(some, &moved);
  }
  LogMoved(moved);
  if (!moved.empty()) {
    logger_.Info("stale series left the head", {{"series", moved.size()}});
  }
  return moved.size();
}

void Head::ForgetSome(absl::Span<const StaleSeries> stale,
                      std::vector<RefTombstone>* moved) {
  Postings gone;
  std::size_t chunks = 0;
  {
    base::MutexLock lock(index_mutex_);
    for (const StaleSeries& one : stale) {
      Shard& shard = shards_[ShardOf(one.id)];
      base::MutexLock shard_lock(shard.mutex);
      MemSeries* series = shard.series.Find(one.id);
      if (series == nullptr || shard.out_of_order.contains(one.id) ||
          !IsStale(shard.histograms, shard.blocks, one.id, *series) ||
          RangeOf(shard.histograms, shard.blocks, one.id, *series).max_ms !=
              one.max_ms) {
        continue;
      }
      chunks += series->Truncate(shard.blocks,
                                 std::numeric_limits<std::int64_t>::max());
      shard.starts.erase(one.id);
      if (const auto own = shard.histograms.find(one.id);
          own != shard.histograms.end()) {
        chunks += own->second.chunk_count();
        shard.histograms.erase(own);
      }
      shard.series.Erase(one.id);
      gone.push_back(one.id);
      moved->push_back({one.id, {kMovedIntoBlocks, one.max_ms}});
    }
    index_.Remove(gone);
  }
  {
    base::MutexLock lock(tombstones_mutex_);
    for (const SeriesId id : gone) tombstones_.erase(id);
  }
  stale_series_ -= static_cast<std::int64_t>(gone.size());
  chunks_ -= static_cast<std::int64_t>(chunks);
  metrics_.chunks_removed.Inc(static_cast<double>(chunks));
  metrics_.series_removed.Inc(static_cast<double>(gone.size()));
}

// The log still declares them. Told so, a replay need not hold them beside
// those that came in their place.
void Head::LogMoved(const std::vector<RefTombstone>& moved) const {
  if (wal_ == nullptr || moved.empty()) return;
  std::string record;
  EncodeTombstones(moved, &record);
  const absl::Status status = wal_->Log({&record, 1});
  if (status.ok()) return;
  logger_.Warn("the next replay takes series that are in blocks",
               {{"series", moved.size()}, {"err", status.ToString()}});
}

}  // namespace narthex::tsdb
