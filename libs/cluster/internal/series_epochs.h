#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "libs/base/mutex.h"
#include "libs/cluster/internal/series_table.h"

namespace narthex::cluster::internal {

/// Frees references only when nothing is left that may name them, wherever
/// that waits, is under way or goes round again.
///
/// Each release ends an epoch. What is pushed holds the epoch in which it
/// came, so it can name what is released in that one or in a later one: the
/// references released in an epoch are freed when nobody holds it nor any
/// before it. Thread-safe.
class SeriesEpochs {
 public:
  /// `table` must outlive this, and this all that is held of it.
  explicit SeriesEpochs(SeriesTable& table);

  /// The references that are not released yet stay declared as long as this
  /// is held.
  std::shared_ptr<const void> Current() const ABSL_LOCKS_EXCLUDED(mutex_);
  /// The caller will not push to `refs` again.
  void Release(absl::Span<const storage::SeriesRef> refs)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// How many references are released and not freed yet.
  std::size_t held() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using Released = std::list<std::vector<storage::SeriesRef>>;
  class Epoch;

  void End(Released::iterator epoch) ABSL_LOCKS_EXCLUDED(mutex_);

  SeriesTable& table_;
  mutable base::Mutex mutex_;
  // Of each epoch that somebody holds, oldest first.
  Released released_ ABSL_GUARDED_BY(mutex_);
  std::size_t held_ ABSL_GUARDED_BY(mutex_) = 0;
  // The last one of these.
  std::shared_ptr<const Epoch> current_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::cluster::internal
