#include "services/alertmanager/time_interval.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/civil_time.h"

namespace narthex::alertmanager {
namespace {

constexpr std::array<absl::string_view, 7> kWeekdays = {
    "sunday",   "monday", "tuesday", "wednesday",
    "thursday", "friday", "saturday"};
constexpr std::array<absl::string_view, 12> kMonths = {
    "january", "february", "march",     "april",   "may",      "june",
    "july",    "august",   "september", "october", "november", "december"};

template <std::size_t n>
int IndexOf(const std::array<absl::string_view, n>& names,
            absl::string_view name) {
  const auto it = std::find(names.begin(), names.end(), name);
  return it == names.end() ? -1 : static_cast<int>(it - names.begin());
}

/// What one end of a range may be and how it is read.
using ParseEnd = bool (*)(absl::string_view text, int* value);

bool ParseWeekday(absl::string_view text, int* value) {
  *value = IndexOf(kWeekdays, absl::AsciiStrToLower(text));
  return *value >= 0;
}

bool ParseDayOfMonth(absl::string_view text, int* value) {
  return absl::SimpleAtoi(text, value) && *value != 0 && *value >= -31 &&
         *value <= 31;
}

bool ParseMonth(absl::string_view text, int* value) {
  if (absl::SimpleAtoi(text, value)) return *value >= 1 && *value <= 12;
  *value = IndexOf(kMonths, absl::AsciiStrToLower(text)) + 1;
  return *value > 0;
}

bool ParseYear(absl::string_view text, int* value) {
  return absl::SimpleAtoi(text, value) && *value >= 0;
}

/// "first" or "first:last".
absl::Status DecodeRange(const yaml::Node& node, ParseEnd parse,
                         IntRange* out) {
  if (!node.is_scalar()) return node.Error("expected a range");
  const std::vector<std::string> ends = absl::StrSplit(node.scalar(), ':');
  if (ends.size() > 2) {
    return node.Error(absl::StrCat("invalid range: ", node.scalar()));
  }
  if (!parse(ends.front(), &out->begin) || !parse(ends.back(), &out->end)) {
    return node.Error(absl::StrCat("invalid range: ", node.scalar()));
  }
  if (out->begin < 0 && out->end > 0) {
    return node.Error("end day must be negative if start day is negative");
  }
  const bool same_sign = (out->begin < 0) == (out->end < 0);
  if (same_sign && out->begin > out->end) {
    return node.Error(
        absl::StrCat("start is after the end in range ", node.scalar()));
  }
  return absl::OkStatus();
}

void TakeRanges(yaml::Decoder& decoder, absl::string_view name, ParseEnd parse,
                std::vector<IntRange>* out) {
  const yaml::Node* list = decoder.Take(name);
  if (list == nullptr || list->is_null()) return;
  if (!list->is_sequence()) return decoder.Fail(list->Error("expected a list"));
  for (const auto& item : list->items()) {
    IntRange range;
    decoder.Fail(DecodeRange(*item, parse, &range));
    out->push_back(range);
  }
}

/// "hh:mm", up to and including 24:00; -1 when malformed.
int ParseMinuteOfDay(absl::string_view text) {
  int hour = 0;
  int minute = 0;
  if (text.size() != 5 || text[2] != ':' ||
      !absl::SimpleAtoi(text.substr(0, 2), &hour) ||
      !absl::SimpleAtoi(text.substr(3), &minute)) {
    return -1;
  }
  const int result = hour * 60 + minute;
  return hour < 0 || minute < 0 || minute > 59 || result > 24 * 60 ? -1
                                                                   : result;
}

absl::Status DecodeTimes(const yaml::Node& node, IntRange* out) {
  yaml::Decoder decoder(node);
  std::string start;
  std::string end;
  decoder.Field("start_time", &start);
  decoder.Field("end_time", &end);
  if (absl::Status status = decoder.Done(); !status.ok()) return status;
  if (start.empty() || end.empty()) {
    return node.Error("both start and end times must be provided");
  }
  out->begin = ParseMinuteOfDay(start);
  out->end = ParseMinuteOfDay(end);
  if (out->begin < 0 || out->end < 0) {
    return node.Error(absl::StrCat("couldn't parse timestamp ",
                                   out->begin < 0 ? start : end,
                                   ", invalid format"));
  }
  if (out->begin >= out->end) {
    return node.Error("start time cannot be equal or greater than end time");
  }
  return absl::OkStatus();
}

void TakeTimes(yaml::Decoder& decoder, std::vector<IntRange>* out) {
  const yaml::Node* list = decoder.Take("times");
  if (list == nullptr || list->is_null()) return;
  if (!list->is_sequence()) return decoder.Fail(list->Error("expected a list"));
  for (const auto& item : list->items()) {
    IntRange range;
    decoder.Fail(DecodeTimes(*item, &range));
    out->push_back(range);
  }
}

void TakeLocation(yaml::Decoder& decoder, TimeInterval* out) {
  if (!decoder.Field("location", &out->location)) return;
  if (out->location == "Local") {
    out->zone = absl::LocalTimeZone();
  } else if (!absl::LoadTimeZone(out->location, &out->zone)) {
    decoder.FailField("location",
                      absl::StrCat("unknown time zone ", out->location));
  }
}

bool InRanges(const std::vector<IntRange>& ranges, int value) {
  return ranges.empty() ||
         std::any_of(ranges.begin(), ranges.end(), [value](IntRange range) {
           return value >= range.begin && value <= range.end;
         });
}

bool InMinutes(const std::vector<IntRange>& ranges, int minute) {
  return ranges.empty() ||
         std::any_of(ranges.begin(), ranges.end(), [minute](IntRange range) {
           return minute >= range.begin && minute < range.end;
         });
}

bool InDaysOfMonth(const std::vector<IntRange>& ranges, absl::CivilDay day) {
  const absl::CivilMonth month(day);
  const int last =
      static_cast<int>(absl::CivilDay(month + 1) - absl::CivilDay(month));
  const auto holds = [&](IntRange range) {
    int begin = range.begin < 0 ? last + range.begin + 1 : range.begin;
    int end = range.end < 0 ? last + range.end + 1 : range.end;
    // A range that begins after a short month's end has no day in it; one
    // that begins before its start covers it from the first.
    if (begin > last) return false;
    begin = std::max(begin, 1);
    end = std::min(end, last);
    return day.day() >= begin && day.day() <= end;
  };
  return ranges.empty() || std::any_of(ranges.begin(), ranges.end(), holds);
}

}  // namespace

bool TimeInterval::Contains(std::int64_t time_ms) const {
  const absl::CivilSecond at =
      absl::ToCivilSecond(absl::FromUnixMillis(time_ms), zone);
  const absl::CivilDay day(at);
  // Abseil's week begins on Monday.
  const int weekday = (static_cast<int>(absl::GetWeekday(day)) + 1) % 7;
  return InMinutes(minutes, at.hour() * 60 + at.minute()) &&
         InDaysOfMonth(days_of_month, day) && InRanges(months, at.month()) &&
         InRanges(weekdays, weekday) &&
         InRanges(years, static_cast<int>(at.year()));
}

absl::Status Decode(const yaml::Node& node, TimeInterval* out) {
  yaml::Decoder decoder(node);
  TakeTimes(decoder, &out->minutes);
  TakeRanges(decoder, "weekdays", ParseWeekday, &out->weekdays);
  TakeRanges(decoder, "days_of_month", ParseDayOfMonth, &out->days_of_month);
  TakeRanges(decoder, "months", ParseMonth, &out->months);
  TakeRanges(decoder, "years", ParseYear, &out->years);
  TakeLocation(decoder, out);
  return decoder.Done();
}

bool NamedTimeIntervals::Contains(std::int64_t time_ms) const {
  return std::any_of(intervals.begin(), intervals.end(),
                     [time_ms](const TimeInterval& interval) {
                       return interval.Contains(time_ms);
                     });
}

absl::Status Decode(const yaml::Node& node, NamedTimeIntervals* out) {
  yaml::Decoder decoder(node);
  decoder.Required("name", &out->name);
  decoder.Field("time_intervals", &out->intervals);
  return decoder.Done();
}

}  // namespace narthex::alertmanager
