#include "services/alertmanager/alert.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"
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
  const auto by_name = [](const auto& a, const auto& b) {
    return a.first < b.first;
  };
  // As senders in Go write them, they are sorted already.
  if (!std::is_sorted(pairs.begin(), pairs.end(), by_name)) {
    std::stable_sort(pairs.begin(), pairs.end(), by_name);
  }
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

void SortAlerts(std::vector<Alert>* alerts) {
  // Labels are looked up once for each alert, not for each comparison.
  struct Key {
    absl::string_view job;
    absl::string_view instance;
    Alert alert;
  };
  std::vector<Key> keys;
  keys.reserve(alerts->size());
  for (Alert& alert : *alerts) {
    const model::Labels& labels = alert.labels();
    keys.push_back({labels.Get(model::kJob), labels.Get(model::kInstance),
                    std::move(alert)});
  }
  std::sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) {
    if (const int order = a.job.compare(b.job); order != 0) return order < 0;
    if (const int order = a.instance.compare(b.instance); order != 0) {
      return order < 0;
    }
    return a.alert.labels() < b.alert.labels();
  });
  for (std::size_t i = 0; i < keys.size(); ++i) {
    (*alerts)[i] = std::move(keys[i].alert);
  }
}

std::string FormatApiTime(std::int64_t ms) {
  if (ms == kNoTime) return "0001-01-01T00:00:00.000Z";
  const std::int64_t millis = ((ms % 1000) + 1000) % 1000;
  const absl::CivilSecond at =
      absl::CivilSecond(1970, 1, 1) + (ms - millis) / 1000;
  // By hand: answers hold three times for each alert.
  std::string text = "0000-00-00T00:00:00.000Z";
  const auto put = [&text](std::size_t begin, int digits, std::int64_t value) {
    for (std::size_t i = begin + static_cast<std::size_t>(digits); i > begin;
         value /= 10) {
      text[--i] = static_cast<char>('0' + value % 10);
    }
  };
  put(0, 4, at.year());
  put(5, 2, at.month());
  put(8, 2, at.day());
  put(11, 2, at.hour());
  put(14, 2, at.minute());
  put(17, 2, at.second());
  put(20, 3, millis);
  return text;
}

std::string FormatTime(std::int64_t ms) {
  std::string text = FormatApiTime(ms);
  text.pop_back();
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  text += 'Z';
  return text;
}

}  // namespace narthex::alertmanager
