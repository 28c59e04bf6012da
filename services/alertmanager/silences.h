#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "services/alertmanager/silence.h"
#include "services/alertmanager/silence_index.h"
#include "services/alertmanager/state_store.h"

namespace narthex::alertmanager {

struct SilencesOptions {
  /// How long an expired silence is kept.
  std::int64_t retention_ms = std::int64_t{120} * 3600 * 1000;
  /// Of all silences, expired ones included; 0 is no limit.
  std::int64_t max_silences = 0;
  /// Of a stored silence; 0 is no limit.
  std::int64_t max_silence_bytes = 0;
};

/// All silences. What Set() and Expire() have acknowledged is on disk.
/// Thread-safe.
class Silences {
 public:
  /// Reads what `store` holds; both references must outlive the object.
  static absl::StatusOr<std::unique_ptr<Silences>> Load(
      StateStore& store, base::Clock& clock, SilencesOptions options,
      const base::Logger& log);

  /// Creates a silence (no id) or changes one. A change that would rewrite
  /// what has been muted already expires the old silence and creates a new
  /// one. Returns the id. kInvalidArgument "invalid silence: ...", kNotFound
  /// "silence not found", kResourceExhausted for a limit.
  absl::StatusOr<std::string> Set(Silence silence)
      ABSL_LOCKS_EXCLUDED(write_mutex_, mutex_);

  /// Ends a silence now; no error when it has ended. kNotFound.
  absl::Status Expire(const std::string& id)
      ABSL_LOCKS_EXCLUDED(write_mutex_, mutex_);

  /// Null when there is none.
  SilencePtr Get(const std::string& id) const ABSL_LOCKS_EXCLUDED(mutex_);
  /// In no particular order.
  std::vector<SilencePtr> All() const ABSL_LOCKS_EXCLUDED(mutex_);

  /// Whether an active silence matches.
  bool Mutes(const model::Labels& labels, std::int64_t now_ms) const
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// The ids of those that do, sorted.
  std::vector<std::string> MutedBy(const model::Labels& labels,
                                   std::int64_t now_ms) const
      ABSL_LOCKS_EXCLUDED(mutex_);

  /// Drops silences that expired longer ago than the retention.
  absl::Status CollectGarbage() ABSL_LOCKS_EXCLUDED(write_mutex_, mutex_);

  std::size_t Count(SilenceState state) const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  Silences(StateStore& store, base::Clock& clock, SilencesOptions options)
      : store_(store), clock_(clock), options_(options) {}

  absl::Status ExpireLocked(const SilencePtr& silence, std::int64_t now_ms)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status CheckRoom() const ABSL_LOCKS_EXCLUDED(mutex_);
  /// Writes to disk, then shows it to readers.
  absl::Status Store(Silence silence)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_) ABSL_LOCKS_EXCLUDED(mutex_);
  void Insert(SilencePtr silence) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  StateStore& store_;
  base::Clock& clock_;
  const SilencesOptions options_;

  /// Makes changes one after the other while the disk is written, without
  /// keeping readers waiting.
  base::Mutex write_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  mutable base::Mutex mutex_;
  absl::flat_hash_map<std::string, SilencePtr> silences_
      ABSL_GUARDED_BY(mutex_);
  // Those that have not expired when they were last looked at.
  SilenceIndex index_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::alertmanager
