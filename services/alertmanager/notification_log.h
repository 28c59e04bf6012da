#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/clock.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "services/alertmanager/alert.h"
#include "services/alertmanager/state_store.h"

namespace narthex::alertmanager {

/// What a receiver was last told about a group.
struct NotificationEntry {
  std::int64_t sent_at_ms = kNoTime;
  /// When the entry may be forgotten.
  std::int64_t expires_at_ms = kNoTime;
  std::vector<Fingerprint> firing;    // Sorted.
  std::vector<Fingerprint> resolved;  // Sorted.
};

/// Remembers, over restarts too, what has been sent, so that nobody is told
/// twice. Thread-safe.
class NotificationLog {
 public:
  /// Reads what `store` holds. Entries live no longer than `retention_ms`.
  static absl::StatusOr<std::unique_ptr<NotificationLog>> Load(
      StateStore& store, base::Clock& clock, std::int64_t retention_ms,
      const base::Logger& log);

  /// The key of one integration of a receiver and one group.
  static std::string Key(absl::string_view receiver,
                         absl::string_view integration, std::size_t index,
                         absl::string_view group_key);

  /// Null when nothing was sent, or so long ago that it was forgotten.
  std::shared_ptr<const NotificationEntry> Get(absl::string_view key) const
      ABSL_LOCKS_EXCLUDED(mutex_);

  /// Records a notification that was sent. It counts from now on even when
  /// an error says that it would not survive a restart.
  absl::Status Record(absl::string_view key, NotificationEntry entry)
      ABSL_LOCKS_EXCLUDED(mutex_);

  absl::Status CollectGarbage() ABSL_LOCKS_EXCLUDED(mutex_);
  std::size_t size() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  NotificationLog(StateStore& store, base::Clock& clock,
                  std::int64_t retention_ms)
      : store_(store), clock_(clock), retention_ms_(retention_ms) {}

  StateStore& store_;
  base::Clock& clock_;
  const std::int64_t retention_ms_;
  mutable base::Mutex mutex_;
  absl::flat_hash_map<std::string, std::shared_ptr<const NotificationEntry>>
      entries_ ABSL_GUARDED_BY(mutex_);
};

/// Why a notification is sent, in the words of its field notification_reason.
enum class NotifyReason {
  kNone,
  kFirst,
  kNewAlerts,
  kAllResolved,
  kSomeResolved,
  kRepeat,
};
absl::string_view NotifyReasonText(NotifyReason reason);

/// Whether a group with these alerts (sorted) is to be sent, after `last`
/// (null: nothing yet) at `now_ms`.
NotifyReason NeedsNotification(const NotificationEntry* last,
                               const std::vector<Fingerprint>& firing,
                               const std::vector<Fingerprint>& resolved,
                               bool send_resolved,
                               std::int64_t repeat_interval_ms,
                               std::int64_t now_ms);

}  // namespace narthex::alertmanager
