#include "libs/tmpl/go_time.h"

#include <algorithm>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/tmpl/internal/time_layout.h"

namespace narthex::tmpl {
namespace {

using internal::Element;
using internal::kDays;
using internal::kMonths;
using internal::Piece;

std::string FormatOffset(int offset, absl::string_view form) {
  if (form[0] == 'Z' && offset == 0) return "Z";
  const char sign = offset < 0 ? '-' : '+';
  const int seconds = std::abs(offset);
  const bool colon = absl::StrContains(form, ":");
  std::string out = absl::StrFormat("%c%02d", sign, seconds / 3600);
  if (form.size() > 3) {
    absl::StrAppendFormat(&out, "%s%02d", colon ? ":" : "", seconds / 60 % 60);
  }
  if (form.size() > 6) {
    absl::StrAppendFormat(&out, "%s%02d", colon ? ":" : "", seconds % 60);
  }
  return out;
}

std::string FormatFraction(std::int64_t nanos, const Piece& piece) {
  std::string digits = absl::StrFormat("%09d", nanos);
  digits.resize(std::min<std::size_t>(9, piece.text.size() - 1));
  if (piece.element == Element::kFractionNines) {
    while (!digits.empty() && digits.back() == '0') digits.pop_back();
    if (digits.empty()) return "";
  }
  return absl::StrCat(piece.text.substr(0, 1), digits);
}

std::string FormatElement(const Piece& piece,
                          const absl::TimeZone::CivilInfo& info) {
  const absl::CivilSecond cs = info.cs;
  const int hour12 = cs.hour() % 12 == 0 ? 12 : cs.hour() % 12;
  switch (piece.element) {
    case Element::kLongMonth:
      return std::string(kMonths[static_cast<std::size_t>(cs.month() - 1)]);
    case Element::kMonth:
      return std::string(
          kMonths[static_cast<std::size_t>(cs.month() - 1)].substr(0, 3));
    case Element::kNumMonth:
      return absl::StrCat(cs.month());
    case Element::kZeroMonth:
      return absl::StrFormat("%02d", cs.month());
    case Element::kLongWeekday:
      return std::string(kDays[static_cast<std::size_t>(absl::GetWeekday(cs))]);
    case Element::kWeekday:
      return std::string(
          kDays[static_cast<std::size_t>(absl::GetWeekday(cs))].substr(0, 3));
    case Element::kDay:
      return absl::StrCat(cs.day());
    case Element::kUnderDay:
      return absl::StrFormat("%2d", cs.day());
    case Element::kZeroDay:
      return absl::StrFormat("%02d", cs.day());
    case Element::kUnderYearDay:
      return absl::StrFormat("%3d", absl::GetYearDay(cs));
    case Element::kZeroYearDay:
      return absl::StrFormat("%03d", absl::GetYearDay(cs));
    case Element::kHour:
      return absl::StrFormat("%02d", cs.hour());
    case Element::kHour12:
      return absl::StrCat(hour12);
    case Element::kZeroHour12:
      return absl::StrFormat("%02d", hour12);
    case Element::kMinute:
      return absl::StrCat(cs.minute());
    case Element::kZeroMinute:
      return absl::StrFormat("%02d", cs.minute());
    case Element::kSecond:
      return absl::StrCat(cs.second());
    case Element::kZeroSecond:
      return absl::StrFormat("%02d", cs.second());
    case Element::kLongYear:
      return absl::StrFormat("%04d", cs.year());
    case Element::kYear:
      return absl::StrFormat("%02d", std::abs(cs.year() % 100));
    case Element::kUpperPm:
      return cs.hour() >= 12 ? "PM" : "AM";
    case Element::kLowerPm:
      return cs.hour() >= 12 ? "pm" : "am";
    case Element::kZoneName:
      return info.zone_abbr;
    case Element::kOffset:
      return FormatOffset(info.offset, piece.text);
    case Element::kFractionZeros:
    case Element::kFractionNines:
      return FormatFraction(absl::ToInt64Nanoseconds(info.subsecond), piece);
    case Element::kNone:
      return "";
  }
  return "";
}

}  // namespace

std::string FormatTime(const Time& time, absl::string_view layout) {
  const absl::TimeZone::CivilInfo info = time.zone.At(time.at);
  std::string out;
  while (!layout.empty()) {
    const Piece piece = internal::NextPiece(&layout);
    absl::StrAppend(&out, piece.literal, FormatElement(piece, info));
  }
  return out;
}

std::string TimeString(const Time& time) {
  return FormatTime(time, "2006-01-02 15:04:05.999999999 -0700 MST");
}

}  // namespace narthex::tmpl
