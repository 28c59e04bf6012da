#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "libs/model/sample.h"
#include "libs/tsdb/postings.h"

namespace narthex::tsdb {

/// When the counter behind the samples of one series in the head began: few
/// entries, for it begins anew only when its process does. Not thread-safe.
class StartRuns {
 public:
  /// Of the sample at `timestamp_ms`, which is later than all before; 0: not
  /// known.
  void Note(std::int64_t timestamp_ms, std::int64_t start_ms);
  /// Those of `samples`, if they have any.
  void Note(const model::SampleColumns& samples);

  /// The start time of the sample at that time; 0: not known.
  std::int64_t At(std::int64_t timestamp_ms) const;
  /// Whether it is known of some sample inside these bounds.
  bool AnyWithin(std::int64_t min_ms, std::int64_t max_ms) const;
  /// Sets the start times of all samples but the first `before` ones.
  void Fill(std::size_t before, model::SampleColumns* samples) const;

  /// Forgets what is of interest only before `min_ms`.
  void Truncate(std::int64_t min_ms);
  bool empty() const { return runs_.empty(); }
  std::size_t allocated_bytes() const { return runs_.capacity() * sizeof(Run); }

 private:
  struct Run {
    std::int64_t from_ms = 0;
    std::int64_t start_ms = 0;
  };
  // The first one that begins after `timestamp_ms`.
  std::vector<Run>::const_iterator After(std::int64_t timestamp_ms) const;

  std::vector<Run> runs_;  // Ascending.
};

/// Those series of a shard that have start times.
using StartTable = absl::flat_hash_map<SeriesId, StartRuns>;

}  // namespace narthex::tsdb
