#include <algorithm>

#include "libs/base/status.h"
#include "libs/tsdb/head.h"

namespace narthex::tsdb {

bool Head::HasChunkWithin(const storage::TimeRange& range,
                          const Intervals* deleted, const Shard& shard,
                          SeriesId id, const MemSeries& series) {
  if (deleted == nullptr && !series.has_histograms() && !series.empty()) {
    const std::int64_t last = series.max_ms(shard.blocks);
    if (last >= range.min_ms && last <= range.max_ms) return true;
  }
  std::vector<storage::Chunk> chunks;
  series.CopyChunks(shard.blocks, range, &chunks);
  if (const HistogramSeries* own = HistogramsOf(shard.histograms, id, series)) {
    own->CopyChunks(range, &chunks);
  }
  if (const auto it = shard.out_of_order.find(id);
      it != shard.out_of_order.end()) {
    it->second.Copy(range, &chunks);
  }
  return std::any_of(chunks.begin(), chunks.end(), [&](const auto& chunk) {
    return deleted == nullptr ||
           !Covers(*deleted, {chunk.min_ms, chunk.max_ms});
  });
}

Tombstones Head::DeletedOf(const Postings& ids) const {
  Tombstones deleted;
  base::ReaderMutexLock lock(tombstones_mutex_);
  if (tombstones_.empty()) return deleted;
  for (const SeriesId id : ids) {
    const auto it = tombstones_.find(id);
    if (it != tombstones_.end()) deleted.insert(*it);
  }
  return deleted;
}

absl::StatusOr<storage::LabelTable> Head::SelectLabels(
    storage::TimeRange range,
    const std::vector<model::Matcher>& matchers) const {
  NARTHEX_ASSIGN_OR_RETURN(const Postings ids, FindSeries(matchers));
  const Tombstones deleted = DeletedOf(ids);
  Postings found;
  found.reserve(ids.size());
  for (std::size_t i = 0; i < ids.size();) {
    // Neighbours of one page share a shard, hence its lock.
    const Shard& shard = shards_[ShardOf(ids[i])];
    const std::uint32_t page = PagedArray<MemSeries>::PageOf(ids[i]);
    base::ReaderMutexLock lock(shard.mutex);
    PagedArray<MemSeries>::Cursor cursor(shard.series);
    for (; i < ids.size() && PagedArray<MemSeries>::PageOf(ids[i]) == page;
         ++i) {
      const MemSeries* series = cursor.Find(ids[i]);
      if (series == nullptr) continue;
      const auto it = deleted.find(ids[i]);
      if (HasChunkWithin(range, it == deleted.end() ? nullptr : &it->second,
                         shard, ids[i], *series)) {
        found.push_back(ids[i]);
      }
    }
  }
  base::ReaderMutexLock lock(index_mutex_);
  return index_.TableOf(found);
}

}  // namespace narthex::tsdb
