#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "libs/model/labels.h"
#include "libs/tsdb/db.h"

namespace narthex::chaos {

/// What a writer that may be killed at any moment tells the process that
/// watches it, through shared memory. Steps count from 1; 0 is none.
struct Progress {
  std::atomic<bool> open{false};              ///< The database is open.
  std::atomic<std::int64_t> begun{0};         ///< Last append that was begun.
  std::atomic<std::int64_t> acknowledged{0};  ///< Last that returned OK.
  std::atomic<std::int64_t> delete_begun{0};  ///< Likewise of deletions.
  std::atomic<std::int64_t> deleted{0};
  std::atomic<std::int64_t> failed{0};  ///< The step of an unexpected error.
};

/// A series of samples and deletions in which everything follows from the
/// number of the step, so that whoever knows how far it came knows what must
/// be stored. Between them: compaction, retention, checkpoints, flushes,
/// snapshots, rewrites, and stops and starts with snapshots of memory.
class CrashWorkload {
 public:
  static constexpr std::int64_t kStepMs = 120'000;
  static constexpr std::int64_t kRetentionMs = 24 * 60 * 60 * 1000;

  /// With the log's default, which a killed process loses nothing by, or
  /// fsynced before each acknowledgement.
  static tsdb::DbOptions Options(tsdb::WalSync sync = tsdb::WalSync::kSegment);
  static std::int64_t TimeOf(std::int64_t step);
  /// A deletion of this step deletes up to this time, of "doomed" series.
  static std::int64_t DeletedUntil(std::int64_t step);

  struct Sample {
    model::Labels labels;
    double value = 0;
    bool doomed = false;
  };
  static std::vector<Sample> SamplesOf(std::int64_t step);

  /// Goes on after the last acknowledged step, for ever. Returns when
  /// something fails that should not, and says so in `progress`.
  static void Run(const std::string& directory, tsdb::WalSync sync,
                  Progress& progress);
};

}  // namespace narthex::chaos
