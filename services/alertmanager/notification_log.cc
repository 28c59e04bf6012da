#include "services/alertmanager/notification_log.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/base/varint.h"

namespace narthex::alertmanager {
namespace {

constexpr std::uint8_t kVersion = 1;

void PutFingerprints(const std::vector<Fingerprint>& list, std::string* out) {
  base::PutUvarint(list.size(), out);
  for (const Fingerprint fingerprint : list) base::PutBe64(fingerprint, out);
}

std::vector<Fingerprint> GetFingerprints(base::ByteReader& reader) {
  std::vector<Fingerprint> list;
  const std::uint64_t count = reader.Uvarint();
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    list.push_back(reader.Be64());
  }
  return list;
}

std::string Encode(const NotificationEntry& entry) {
  std::string out(1, static_cast<char>(kVersion));
  base::PutVarint(entry.sent_at_ms, &out);
  base::PutVarint(entry.expires_at_ms, &out);
  PutFingerprints(entry.firing, &out);
  PutFingerprints(entry.resolved, &out);
  return out;
}

absl::StatusOr<NotificationEntry> Decode(absl::string_view encoded) {
  base::ByteReader reader(encoded);
  const std::uint8_t version = reader.Byte();
  NotificationEntry entry;
  entry.sent_at_ms = reader.Varint();
  entry.expires_at_ms = reader.Varint();
  entry.firing = GetFingerprints(reader);
  entry.resolved = GetFingerprints(reader);
  if (version != kVersion || !reader.ok()) {
    return absl::DataLossError("stored notification: malformed");
  }
  return entry;
}

}  // namespace

absl::StatusOr<std::unique_ptr<NotificationLog>> NotificationLog::Load(
    StateStore& store, base::Clock& clock, std::int64_t retention_ms,
    const base::Logger& log) {
  std::unique_ptr<NotificationLog> result(
      new NotificationLog(store, clock, retention_ms));
  base::MutexLock lock(result->mutex_);
  const absl::Status status = store.ForEach(
      StateStore::Kind::kNotification,
      [&](absl::string_view key, absl::string_view value)
          ABSL_NO_THREAD_SAFETY_ANALYSIS {
            absl::StatusOr<NotificationEntry> entry = Decode(value);
            if (!entry.ok()) {
              log.Error("notification log entry dropped",
                        {{"key", key}, {"err", entry.status().ToString()}});
              return;
            }
            result->entries_[std::string(key)] =
                std::make_shared<NotificationEntry>(*std::move(entry));
          });
  NARTHEX_RETURN_IF_ERROR(status);
  return result;
}

std::string NotificationLog::Key(absl::string_view receiver,
                                 absl::string_view integration,
                                 std::size_t index,
                                 absl::string_view group_key) {
  return absl::StrCat(group_key, ":", receiver, "/", integration, "/", index);
}

std::shared_ptr<const NotificationEntry> NotificationLog::Get(
    absl::string_view key) const {
  base::ReaderMutexLock lock(mutex_);
  const auto it = entries_.find(key);
  return it == entries_.end() ? nullptr : it->second;
}

absl::Status NotificationLog::Record(absl::string_view key,
                                     NotificationEntry entry) {
  entry.expires_at_ms =
      std::min(entry.expires_at_ms, entry.sent_at_ms + retention_ms_);
  const std::string encoded = Encode(entry);
  {
    base::MutexLock lock(mutex_);
    entries_[key] = std::make_shared<NotificationEntry>(std::move(entry));
  }
  // A power cut may lose the last moments: then a receiver is told twice,
  // which is the side to err on.
  return store_.Put(StateStore::Kind::kNotification, key, encoded,
                    StateStore::Durability::kProcess);
}

absl::Status NotificationLog::CollectGarbage() {
  std::vector<std::string> old;
  {
    base::MutexLock lock(mutex_);
    const std::int64_t now = clock_.NowMs();
    for (const auto& [key, entry] : entries_) {
      if (entry->expires_at_ms <= now) old.push_back(key);
    }
    for (const std::string& key : old) entries_.erase(key);
  }
  return store_.Delete(StateStore::Kind::kNotification, old);
}

std::size_t NotificationLog::size() const {
  base::ReaderMutexLock lock(mutex_);
  return entries_.size();
}

absl::string_view NotifyReasonText(NotifyReason reason) {
  switch (reason) {
    case NotifyReason::kNone:
      return "";
    case NotifyReason::kFirst:
      return "first notification";
    case NotifyReason::kNewAlerts:
      return "new alerts added";
    case NotifyReason::kAllResolved:
      return "all alerts resolved";
    case NotifyReason::kSomeResolved:
      return "some alerts resolved";
    case NotifyReason::kRepeat:
      return "repeat interval elapsed";
  }
  return "";
}

NotifyReason NeedsNotification(const NotificationEntry* last,
                               const std::vector<Fingerprint>& firing,
                               const std::vector<Fingerprint>& resolved,
                               bool send_resolved,
                               std::int64_t repeat_interval_ms,
                               std::int64_t now_ms) {
  // Nobody is told of the end of what they were never told about.
  if (last == nullptr) {
    return firing.empty() ? NotifyReason::kNone : NotifyReason::kFirst;
  }
  const auto knows = [](const std::vector<Fingerprint>& known,
                        const std::vector<Fingerprint>& all) {
    return std::includes(known.begin(), known.end(), all.begin(), all.end());
  };
  if (!knows(last->firing, firing)) {
    return last->firing.empty() ? NotifyReason::kFirst
                                : NotifyReason::kNewAlerts;
  }
  // Also for those who do not want resolved alerts: so the log learns that
  // the group has come to its end.
  if (firing.empty()) {
    return last->firing.empty() ? NotifyReason::kNone
                                : NotifyReason::kAllResolved;
  }
  if (send_resolved && !knows(last->resolved, resolved)) {
    return NotifyReason::kSomeResolved;
  }
  return last->sent_at_ms < now_ms - repeat_interval_ms ? NotifyReason::kRepeat
                                                        : NotifyReason::kNone;
}

}  // namespace narthex::alertmanager
