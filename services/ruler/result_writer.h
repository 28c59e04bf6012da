#pragma once

#include <chrono>
#include <cstddef>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "libs/base/mutex.h"
#include "libs/cluster/writer.h"
#include "libs/rules/seams.h"

namespace narthex::ruler {

/// Writes what rules yield to the ingesters. A series keeps its reference
/// until it is ended. Thread-safe.
class ResultWriter {
 public:
  /// `writer` must outlive this.
  ResultWriter(cluster::Writer& writer, std::chrono::milliseconds timeout)
      : writer_(writer), timeout_(timeout) {}

  /// Returns when the samples are stored. Errors as of cluster::PushOutcome.
  absl::StatusOr<std::vector<storage::Rejection>> Append(
      const std::vector<rules::ResultSample>& batch)
      ABSL_LOCKS_EXCLUDED(mutex_);

  /// Series that have a reference.
  std::size_t series() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Series {
    storage::SeriesRef ref = 0;
    int under_way = 0;   // Batches that name it.
    bool ended = false;  // Its last sample was an end.
  };

  cluster::PushBatch Name(const std::vector<rules::ResultSample>& batch)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void Forget(const std::vector<rules::ResultSample>& batch)
      ABSL_LOCKS_EXCLUDED(mutex_);

  cluster::Writer& writer_;
  const std::chrono::milliseconds timeout_;
  mutable base::Mutex mutex_;
  absl::flat_hash_map<model::Labels, Series> series_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::ruler
