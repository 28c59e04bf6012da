#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/model/labels.h"

namespace narthex::alertmanager {

/// A time that was not given; all others are Unix milliseconds.
inline constexpr std::int64_t kNoTime =
    std::numeric_limits<std::int64_t>::min();

/// Names an alert by its labels: FNV-1a over names and values in order, as
/// Prometheus's model.Fingerprint. Stable across processes and versions.
using Fingerprint = std::uint64_t;
Fingerprint FingerprintOf(const model::Labels& labels);
/// Sixteen hexadecimal digits.
std::string FormatFingerprint(Fingerprint fingerprint);

/// Names and texts sorted by name, names unique, held in one string. Unlike
/// labels, a text may be empty.
class Annotations {
 public:
  Annotations() = default;
  /// In any order; of a repeated name the last wins.
  explicit Annotations(std::vector<std::pair<std::string, std::string>> pairs);

  bool empty() const { return data_.empty(); }
  /// All pairs in order; views into this object.
  std::vector<std::pair<absl::string_view, absl::string_view>> pairs() const;
  friend bool operator==(const Annotations&, const Annotations&) = default;

 private:
  std::string data_;
};

/// What an alert says. Immutable and shared by all who hold the alert, and by
/// its successors as long as nothing of it changes.
struct AlertContent {
  model::Labels labels;
  Annotations annotations;
  std::string generator_url;
  Fingerprint fingerprint = 0;
};

/// One alert at one moment: cheap to copy.
struct Alert {
  std::shared_ptr<const AlertContent> content;
  std::int64_t starts_at_ms = kNoTime;
  std::int64_t ends_at_ms = kNoTime;
  std::int64_t updated_at_ms = kNoTime;
  /// The end was not given by the sender but follows from resolve_timeout.
  bool timeout = false;

  const model::Labels& labels() const { return content->labels; }
  Fingerprint fingerprint() const { return content->fingerprint; }
  bool ResolvedAt(std::int64_t now_ms) const {
    return ends_at_ms != kNoTime && ends_at_ms <= now_ms;
  }
};

/// Joins two reports of one alert whose times overlap: the earliest start; of
/// two ends the explicit and later one; all else from the newer report.
/// `now_ms` tells which of them are resolved.
Alert MergeAlerts(const Alert& a, const Alert& b, std::int64_t now_ms);
/// Whether `fresh` continues `old`, so that they are to be merged.
bool AlertsOverlap(const Alert& old, const Alert& fresh);

/// Sorts as notifications and answers show alerts: by the labels job and
/// instance, then by all labels.
void SortAlerts(std::vector<Alert>* alerts);

/// "2006-01-02T15:04:05.678Z", the zero time for kNoTime: JSON of
/// notifications.
std::string FormatTime(std::int64_t ms);
/// The same with always three decimals: JSON of the API.
std::string FormatApiTime(std::int64_t ms);

}  // namespace narthex::alertmanager
