#include "services/alertmanager/silences.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"

namespace narthex::alertmanager {
namespace {

absl::Status Validate(const Silence& silence) {
  const auto invalid = [](absl::string_view reason) {
    return absl::InvalidArgumentError(
        absl::StrCat("invalid silence: ", reason));
  };
  if (silence.matchers.empty()) return invalid("at least one matcher required");
  for (std::size_t i = 0; i < silence.matchers.size(); ++i) {
    const model::Matcher& matcher = silence.matchers[i];
    const std::string where =
        absl::StrCat("invalid label matcher ", i, " in set 0: ");
    if (!model::IsUtf8Name(matcher.name())) {
      return invalid(absl::StrCat(where, "invalid label name ",
                                  base::Quote(matcher.name())));
    }
    if (!base::IsValidUtf8(matcher.value())) {
      return invalid(absl::StrCat(where, "invalid label value ",
                                  base::Quote(matcher.value())));
    }
  }
  const auto matches_empty = [](const model::Matcher& matcher) {
    const bool positive = matcher.type() == model::MatchType::kEqual ||
                          matcher.type() == model::MatchType::kRegex;
    return positive && matcher.MatchesEmpty();
  };
  if (std::all_of(silence.matchers.begin(), silence.matchers.end(),
                  matches_empty)) {
    return invalid(
        "matcher set 0: at least one matcher must not match the empty string");
  }
  if (silence.starts_at_ms == kNoTime) {
    return invalid("invalid zero start timestamp");
  }
  if (silence.ends_at_ms == kNoTime) {
    return invalid("invalid zero end timestamp");
  }
  if (silence.ends_at_ms < silence.starts_at_ms) {
    return invalid("end time must not be before start time");
  }
  return absl::OkStatus();
}

/// Whether `old` may become `fresh` under the same id: only when that leaves
/// the past as it was.
bool CanUpdate(const Silence& old, const Silence& fresh, std::int64_t now_ms) {
  if (!(old.matchers == fresh.matchers)) return false;
  switch (old.StateAt(now_ms)) {
    case SilenceState::kActive:
      return old.starts_at_ms / 1000 == fresh.starts_at_ms / 1000 &&
             fresh.ends_at_ms >= now_ms;
    case SilenceState::kPending:
      return fresh.starts_at_ms >= now_ms;
    case SilenceState::kExpired:
      return false;
  }
  return false;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Silences>> Silences::Load(
    StateStore& store, base::Clock& clock, SilencesOptions options,
    const base::Logger& log) {
  std::unique_ptr<Silences> silences(new Silences(store, clock, options));
  base::MutexLock lock(silences->mutex_);
  const absl::Status status = store.ForEach(
      StateStore::Kind::kSilence,
      [&](absl::string_view key, absl::string_view value)
          ABSL_NO_THREAD_SAFETY_ANALYSIS {
            absl::StatusOr<Silence> silence = DecodeSilence(value);
            if (!silence.ok()) {
              log.Error("silence dropped",
                        {{"id", key}, {"err", silence.status().ToString()}});
              return;
            }
            silences->Insert(std::make_shared<Silence>(*std::move(silence)));
          });
  NARTHEX_RETURN_IF_ERROR(status);
  return silences;
}

void Silences::Insert(SilencePtr silence) {
  SilencePtr& slot = silences_[silence->id];
  if (slot != nullptr) index_.Remove(slot);
  slot = std::move(silence);
  if (slot->StateAt(clock_.NowMs()) != SilenceState::kExpired) {
    index_.Add(slot);
  }
}

absl::Status Silences::Store(Silence silence) {
  const std::string encoded = EncodeSilence(silence);
  if (options_.max_silence_bytes > 0 &&
      static_cast<std::int64_t>(encoded.size()) > options_.max_silence_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("silence exceeded maximum size: ", encoded.size(),
                     " bytes (limit: ", options_.max_silence_bytes, " bytes)"));
  }
  NARTHEX_RETURN_IF_ERROR(store_.Put(StateStore::Kind::kSilence, silence.id,
                                     encoded,
                                     StateStore::Durability::kMachine));
  base::MutexLock lock(mutex_);
  Insert(std::make_shared<Silence>(std::move(silence)));
  return absl::OkStatus();
}

absl::Status Silences::CheckRoom() const {
  base::ReaderMutexLock lock(mutex_);
  if (options_.max_silences > 0 &&
      static_cast<std::int64_t>(silences_.size()) >= options_.max_silences) {
    return absl::ResourceExhaustedError(
        absl::StrCat("exceeded maximum number of silences: ", silences_.size(),
                     " (limit: ", options_.max_silences, ")"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Silences::Set(Silence silence) {
  base::MutexLock lock(write_mutex_);
  const std::int64_t now = clock_.NowMs();
  if (silence.starts_at_ms == kNoTime) silence.starts_at_ms = now;
  NARTHEX_RETURN_IF_ERROR(Validate(silence));
  const SilencePtr old = silence.id.empty() ? nullptr : Get(silence.id);
  if (!silence.id.empty() && old == nullptr) {
    return absl::NotFoundError("silence not found");
  }
  silence.updated_at_ms = now;
  if (old == nullptr || !CanUpdate(*old, silence, now)) {
    NARTHEX_RETURN_IF_ERROR(CheckRoom());
    silence.id = NewUuid();
    silence.starts_at_ms = std::max(silence.starts_at_ms, now);
  }
  const std::string id = silence.id;
  NARTHEX_RETURN_IF_ERROR(Store(std::move(silence)));
  // After the new one is there, so that a failure leaves no gap.
  if (old != nullptr && old->id != id) {
    NARTHEX_RETURN_IF_ERROR(ExpireLocked(old, now));
  }
  return id;
}

absl::Status Silences::ExpireLocked(const SilencePtr& silence,
                                    std::int64_t now_ms) {
  const SilenceState state = silence->StateAt(now_ms);
  if (state == SilenceState::kExpired) return absl::OkStatus();
  Silence ended = *silence;
  if (state == SilenceState::kPending) ended.starts_at_ms = now_ms;
  ended.ends_at_ms = now_ms;
  ended.updated_at_ms = now_ms;
  return Store(std::move(ended));
}

absl::Status Silences::Expire(const std::string& id) {
  base::MutexLock lock(write_mutex_);
  const SilencePtr silence = Get(id);
  if (silence == nullptr) return absl::NotFoundError("silence not found");
  return ExpireLocked(silence, clock_.NowMs());
}

SilencePtr Silences::Get(const std::string& id) const {
  base::ReaderMutexLock lock(mutex_);
  const auto it = silences_.find(id);
  return it == silences_.end() ? nullptr : it->second;
}

std::vector<SilencePtr> Silences::All() const {
  base::ReaderMutexLock lock(mutex_);
  std::vector<SilencePtr> all;
  all.reserve(silences_.size());
  for (const auto& [id, silence] : silences_) all.push_back(silence);
  return all;
}

bool Silences::Mutes(const model::Labels& labels, std::int64_t now_ms) const {
  bool found = false;
  base::ReaderMutexLock lock(mutex_);
  index_.ForEachMatch(labels, now_ms, [&found](const SilencePtr&) {
    found = true;
    return false;
  });
  return found;
}

std::vector<std::string> Silences::MutedBy(const model::Labels& labels,
                                           std::int64_t now_ms) const {
  std::vector<std::string> ids;
  {
    base::ReaderMutexLock lock(mutex_);
    index_.ForEachMatch(labels, now_ms, [&ids](const SilencePtr& silence) {
      ids.push_back(silence->id);
      return true;
    });
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

absl::Status Silences::CollectGarbage() {
  base::MutexLock lock(write_mutex_);
  const std::int64_t now = clock_.NowMs();
  std::vector<std::string> old;
  {
    base::MutexLock state_lock(mutex_);
    for (const auto& [id, silence] : silences_) {
      if (silence->StateAt(now) != SilenceState::kExpired) continue;
      index_.Remove(silence);
      if (silence->ends_at_ms + options_.retention_ms <= now) old.push_back(id);
    }
  }
  NARTHEX_RETURN_IF_ERROR(store_.Delete(StateStore::Kind::kSilence, old));
  base::MutexLock state_lock(mutex_);
  for (const std::string& id : old) silences_.erase(id);
  return absl::OkStatus();
}

std::size_t Silences::Count(SilenceState state) const {
  base::ReaderMutexLock lock(mutex_);
  const std::int64_t now = clock_.NowMs();
  return static_cast<std::size_t>(std::count_if(
      silences_.begin(), silences_.end(),
      [&](const auto& entry) { return entry.second->StateAt(now) == state; }));
}

}  // namespace narthex::alertmanager
