#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "libs/base/mutex.h"
#include "libs/cluster/writer.h"

namespace narthex::cluster::internal {

/// Collects what becomes of the replicas of one batch, and reports once: as
/// soon as it is known of every sample what a majority of the ingesters that
/// it is sent to does with it. Thread-safe.
class ReplicaTally {
 public:
  /// The batch has `size` samples, histograms and exemplars, each of which
  /// goes to `replicas` ingesters; `parts` ingesters get some of it. `done` is
  /// called with the outcome, `settled` when all parts are answered.
  ReplicaTally(std::size_t size, std::size_t replicas, std::size_t parts,
               std::function<void(PushOutcome)> done,
               std::function<void()> settled);

  /// One ingester's answer to its part, of `size` samples that stand in the
  /// batch at `positions` (empty: the part is the batch).
  void Answer(std::size_t size, const std::vector<std::uint32_t>& positions,
              const PushOutcome& outcome) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Sample {
    std::uint8_t taken = 0;
    std::uint8_t refused = 0;
    std::uint8_t failed = 0;
    storage::RejectReason reason{};
  };

  bool IsDecided(const Sample& sample) const;
  bool IsKnown() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  PushOutcome Outcome() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  const std::size_t replicas_;
  const std::size_t majority_;
  const std::size_t parts_;
  const std::function<void(PushOutcome)> done_;
  const std::function<void()> settled_;
  base::Mutex mutex_;
  std::vector<Sample> samples_ ABSL_GUARDED_BY(mutex_);
  std::size_t undecided_ ABSL_GUARDED_BY(mutex_);
  std::size_t answered_ ABSL_GUARDED_BY(mutex_) = 0;
  bool reported_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status first_error_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::cluster::internal
