#include <algorithm>
#include <limits>

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
        [&stale, blocks = &shard.blocks](SeriesId id, const MemSeries& series) {
          if (series.empty() || !series.stale()) return;
          stale.push_back({id, series.min_ms(*blocks), series.max_ms(*blocks)});
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

void Head::ForgetStale(const std::vector<StaleSeries>& stale) {
  // Whoever selects from now on sees the blocks as well.
  if (!WaitForReadersUnderWay()) return;
  Postings gone;
  std::size_t chunks = 0;
  {
    base::MutexLock lock(index_mutex_);
    for (const StaleSeries& one : stale) {
      Shard& shard = shards_[ShardOf(one.id)];
      base::MutexLock shard_lock(shard.mutex);
      MemSeries* series = shard.series.Find(one.id);
      if (series == nullptr || series->empty() || !series->stale() ||
          series->max_ms(shard.blocks) != one.max_ms ||
          shard.out_of_order.contains(one.id) ||
          shard.histograms.contains(one.id)) {
        continue;
      }
      chunks += series->Truncate(shard.blocks,
                                 std::numeric_limits<std::int64_t>::max());
      shard.starts.erase(one.id);
      shard.series.Erase(one.id);
      gone.push_back(one.id);
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
  logger_.Info("stale series left the head", {{"series", gone.size()}});
}

}  // namespace narthex::tsdb
