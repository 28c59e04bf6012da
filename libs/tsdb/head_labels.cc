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
  std::vector<storage::TimeRange> chunks;
  series.ListChunks(shard.blocks, range, &chunks);
  if (const HistogramSeries* own = HistogramsOf(shard.histograms, id, series)) {
    own->ListChunks(range, &chunks);
  }
  if (const auto it = shard.out_of_order.find(id);
      it != shard.out_of_order.end()) {
    it->second.ListChunks(range, &chunks);
  }
  return std::any_of(chunks.begin(), chunks.end(), [&](const auto& chunk) {
    return deleted == nullptr || !Covers(*deleted, chunk);
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
  ForEachOf(ids, [&](const Shard& shard, SeriesId id, const MemSeries& series)
                     ABSL_SHARED_LOCKS_REQUIRED(shard.mutex) {
                       const auto it = deleted.find(id);
                       const Intervals* its =
                           it == deleted.end() ? nullptr : &it->second;
                       if (HasChunkWithin(range, its, shard, id, series)) {
                         found.push_back(id);
                       }
                     });
  base::ReaderMutexLock lock(index_mutex_);
  return index_.TableOf(found);
}

}  // namespace narthex::tsdb
