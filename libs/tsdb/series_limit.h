#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "libs/base/mutex.h"
#include "libs/metrics/metrics.h"
#include "libs/model/labels.h"

namespace narthex::tsdb {

/// What the head may grow to.
struct SeriesBounds {
  /// Series; 0: no bound.
  std::size_t max_series = 0;
  /// Bytes that the process may hold in memory of its own (not mapped files)
  /// when a series is added; 0: no bound.
  std::uint64_t memory_budget_bytes = 0;
};

/// Bytes of memory that the process holds for itself, mapped files left out;
/// 0 when the system does not tell.
std::uint64_t OwnMemoryBytes();

/// Decides whether a head takes another series. A burst of new series is
/// stopped here: those that are known go on, so that no scrape fails because
/// of what a neighbour exposes. Thread-safe.
class SeriesLimit {
 public:
  /// `memory` tells what is held at present: OwnMemoryBytes but in tests.
  using Memory = std::uint64_t (*)();
  SeriesLimit(const SeriesBounds& bounds, metrics::Registry& registry,
              Memory memory = OwnMemoryBytes);

  /// Whether a head of `series` series takes `labels` too:
  /// kResourceExhausted says which bound is reached. Refusals are counted by
  /// job.
  absl::Status Admit(std::size_t series, const model::Labels& labels)
      ABSL_LOCKS_EXCLUDED(mutex_);

  /// Whether a replay, of which the head takes `head_bytes` so far, goes on to
  /// take series. What was acknowledged is served: only a head that would pass
  /// the budget by itself ends that, not the number of series nor the memory
  /// that the replay needs for a while. Refusals are counted likewise.
  absl::Status AdmitReplayed(std::uint64_t head_bytes,
                             const model::Labels& labels)
      ABSL_LOCKS_EXCLUDED(mutex_);
  const SeriesBounds& bounds() const { return bounds_; }

  /// Whether no bound is near: a twentieth of each is left.
  bool HasRoom(std::size_t series);

  /// Whether a series was refused since there last was room.
  bool RefusedForWantOfRoom(std::size_t series);

 private:
  void MeasureIfDue();
  absl::Status Refuse(const std::string& reason, const model::Labels& labels)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void Count(const model::Labels& labels) ABSL_LOCKS_EXCLUDED(mutex_);

  const SeriesBounds bounds_;
  const Memory memory_;
  metrics::CounterFamily& refused_by_job_;
  metrics::Gauge& memory_bytes_;
  // When memory was last measured, and what was found.
  std::atomic<std::int64_t> measured_ns_{0};
  std::atomic<std::uint32_t> since_measured_{0};
  std::atomic<std::uint64_t> measured_bytes_{0};
  std::atomic<bool> refused_{false};

  base::Mutex mutex_;
  std::set<std::string> jobs_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::tsdb
