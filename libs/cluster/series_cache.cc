#include "libs/cluster/series_cache.h"

#include <vector>

namespace narthex::cluster {

storage::SeriesRef SeriesCache::Get(const model::Labels& labels) {
  return GetByKey(base::XxHash128(labels.encoded()),
                  [&labels]() -> const model::Labels& { return labels; });
}

storage::SeriesRef SeriesCache::FindLocked(const base::Hash128& key) {
  const auto it = entries_.find(Key{key});
  if (it == entries_.end()) return 0;
  it->second.generation = generation_;
  return it->second.ref;
}

void SeriesCache::FindAll(absl::Span<const base::Hash128> keys,
                          storage::SeriesRef* refs) {
  base::MutexLock lock(mutex_);
  for (const base::Hash128& key : keys) entries_.prefetch(Key{key});
  for (const base::Hash128& key : keys) *refs++ = FindLocked(key);
}

storage::SeriesRef SeriesCache::AddLocked(const base::Hash128& key,
                                          const model::Labels& labels) {
  const storage::SeriesRef ref = writer_.Declare(labels);
  entries_.emplace(Key{key}, Entry{ref, generation_});
  return ref;
}

void SeriesCache::NextGeneration() {
  std::vector<storage::SeriesRef> released;
  {
    base::MutexLock lock(mutex_);
    for (auto it = entries_.begin(); it != entries_.end();) {
      if (it->second.generation < generation_) {
        released.push_back(it->second.ref);
        entries_.erase(it++);
      } else {
        ++it;
      }
    }
    ++generation_;
  }
  writer_.Release(released);
}

std::size_t SeriesCache::size() const {
  base::ReaderMutexLock lock(mutex_);
  return entries_.size();
}

}  // namespace narthex::cluster
