#pragma once

#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "libs/base/hash.h"
#include "libs/base/mutex.h"
#include "libs/cluster/writer.h"

namespace narthex::cluster {

/// References of a Writer by label set, for writers that meet label sets
/// again and again (remote write, rule results). Series not asked for during
/// a whole generation are released. Thread-safe.
class SeriesCache {
 public:
  /// `writer` must outlive the cache.
  explicit SeriesCache(Writer& writer) : writer_(writer) {}

  storage::SeriesRef Get(const model::Labels& labels)
      ABSL_LOCKS_EXCLUDED(mutex_);

  /// The reference behind a key that GetByKey() knows, else 0.
  storage::SeriesRef Find(const base::Hash128& key)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    base::MutexLock lock(mutex_);
    return FindLocked(key);
  }

  /// The same of many keys into `refs`, at less cost.
  void FindAll(absl::Span<const base::Hash128> keys, storage::SeriesRef* refs)
      ABSL_LOCKS_EXCLUDED(mutex_);

  /// As Get() for callers with a cheaper key than the label set: `key` must
  /// name the labels without doubt; `make_labels` is called for a new key.
  template <typename MakeLabels>
  storage::SeriesRef GetByKey(const base::Hash128& key,
                              const MakeLabels& make_labels)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    base::MutexLock lock(mutex_);
    if (const storage::SeriesRef ref = FindLocked(key); ref != 0) return ref;
    return AddLocked(key, make_labels());
  }

  /// Releases series not asked for since the call before this one. No batch
  /// with references from before that call may still be about to be pushed.
  void NextGeneration() ABSL_LOCKS_EXCLUDED(mutex_);

  std::size_t size() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Key {
    base::Hash128 hash;
    friend bool operator==(const Key&, const Key&) = default;
    template <typename H>
    friend H AbslHashValue(H h, const Key& key) {
      return H::combine(std::move(h), key.hash.low);
    }
  };
  struct Entry {
    storage::SeriesRef ref = 0;
    std::uint64_t generation = 0;
  };

  storage::SeriesRef FindLocked(const base::Hash128& key)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  storage::SeriesRef AddLocked(const base::Hash128& key,
                               const model::Labels& labels)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Writer& writer_;
  mutable base::Mutex mutex_;
  std::uint64_t generation_ ABSL_GUARDED_BY(mutex_) = 1;
  absl::flat_hash_map<Key, Entry> entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::cluster
