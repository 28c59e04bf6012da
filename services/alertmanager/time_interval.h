#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/yaml/decoder.h"

namespace narthex::alertmanager {

/// Both ends belong to the range.
struct IntRange {
  int begin = 0;
  int end = 0;
};

/// A set of moments that repeats with the calendar: a moment belongs to it
/// when every list that is not empty has a range for it.
struct TimeInterval {
  /// Minutes of the day; here the end does not belong to the range.
  std::vector<IntRange> minutes;
  /// 0 is Sunday.
  std::vector<IntRange> weekdays;
  /// From 1; negative ones count from the end of the month, -1 the last.
  std::vector<IntRange> days_of_month;
  std::vector<IntRange> months;
  std::vector<IntRange> years;
  absl::TimeZone zone = absl::UTCTimeZone();
  /// The name of the zone as configured; empty when it was not.
  std::string location;

  bool Contains(std::int64_t time_ms) const;
};

/// Reads times, weekdays, days_of_month, months, years and location.
absl::Status Decode(const yaml::Node& node, TimeInterval* out);

/// A named set of intervals, as routes refer to it.
struct NamedTimeIntervals {
  std::string name;
  std::vector<TimeInterval> intervals;

  bool Contains(std::int64_t time_ms) const;
};
absl::Status Decode(const yaml::Node& node, NamedTimeIntervals* out);

}  // namespace narthex::alertmanager
