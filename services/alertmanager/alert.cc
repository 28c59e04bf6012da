#include "services/alertmanager/alert.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "libs/base/duration.h"
#include "libs/base/hash.h"
#include "libs/base/varint.h"

namespace narthex::alertmanager {

Fingerprint FingerprintOf(const model::Labels& labels) {
  constexpr absl::string_view kSeparator("\xff", 1);
  std::uint64_t hash = base::kFnvOffset;
  for (const model::Label& label : labels) {
    hash = base::Fnv1a64(label.name, hash);
    hash = base::Fnv1a64(kSeparator, hash);
    hash = base::Fnv1a64(label.value, hash);
    hash = base::Fnv1a64(kSeparator, hash);
  }
  return hash;
}

std::string FormatFingerprint(Fingerprint fingerprint) {
  return absl::StrCat(absl::Hex(fingerprint, absl::kZeroPad16));
}

Annotations::Annotations(
    std::vector<std::pair<std::string, std::string>> pairs) {
  std::stable_sort(
      pairs.begin(), pairs.end(),
      [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (i + 1 < pairs.size() && pairs[i].first == pairs[i + 1].first) continue;
    base::PutUvarint(pairs[i].first.size(), &data_);
    data_ += pairs[i].first;
    base::PutUvarint(pairs[i].second.size(), &data_);
    data_ += pairs[i].second;
  }
  data_.shrink_to_fit();
}

std::vector<std::pair<absl::string_view, absl::string_view>>
Annotations::pairs() const {
  std::vector<std::pair<absl::string_view, absl::string_view>> result;
  base::ByteReader reader(data_);
  while (reader.ok() && reader.remaining() > 0) {
    const absl::string_view name = reader.UvarintBytes();
    const absl::string_view value = reader.UvarintBytes();
    result.emplace_back(name, value);
  }
  return result;
}

Alert MergeAlerts(const Alert& a, const Alert& b, std::int64_t now_ms) {
  const bool b_is_newer = a.updated_at_ms <= b.updated_at_ms;
  const Alert& older = b_is_newer ? a : b;
  Alert merged = b_is_newer ? b : a;
  merged.starts_at_ms = std::min(a.starts_at_ms, b.starts_at_ms);
  if (older.ends_at_ms <= merged.ends_at_ms) return merged;
  // Of two effective ends the later counts. One still to come yields to an
  // end that the sender gave, but not to a mere timeout.
  const bool keep_older_end =
      merged.ResolvedAt(now_ms) ? older.ResolvedAt(now_ms) : !older.timeout;
  if (keep_older_end) merged.ends_at_ms = older.ends_at_ms;
  return merged;
}

bool AlertsOverlap(const Alert& old, const Alert& fresh) {
  const auto within = [&old](std::int64_t ms) {
    return ms > old.starts_at_ms && ms < old.ends_at_ms;
  };
  return within(fresh.ends_at_ms) || within(fresh.starts_at_ms);
}

bool AlertLess(const Alert& a, const Alert& b) {
  for (const absl::string_view name : {model::kJob, model::kInstance}) {
    if (const int order = a.labels().Get(name).compare(b.labels().Get(name));
        order != 0) {
      return order < 0;
    }
  }
  return a.labels() < b.labels();
}

std::string FormatTime(std::int64_t ms) {
  if (ms == kNoTime) return "0001-01-01T00:00:00Z";
  return base::FormatRfc3339(ms);
}

std::string FormatApiTime(std::int64_t ms) {
  if (ms == kNoTime) return "0001-01-01T00:00:00.000Z";
  const absl::Time time = absl::FromUnixMillis(ms);
  const absl::CivilSecond second =
      absl::ToCivilSecond(time, absl::UTCTimeZone());
  return absl::StrFormat("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", second.year(),
                         second.month(), second.day(), second.hour(),
                         second.minute(), second.second(),
                         ((ms % 1000) + 1000) % 1000);
}

}  // namespace narthex::alertmanager
