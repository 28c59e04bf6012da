#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/quote.h"
#include "libs/tmpl/go_time.h"
#include "libs/tmpl/internal/time_layout.h"

namespace narthex::tmpl {
namespace {

using internal::Element;
using internal::kDays;
using internal::kMonths;
using internal::NextPiece;
using internal::Piece;

// What has been read of a time so far.
struct Fields {
  int year = 0;
  int month = 1;
  int day = 1;
  int hour = 0;
  int minute = 0;
  int second = 0;
  std::int64_t nanos = 0;
  int offset = 0;
  bool pm_set = false;
  bool pm = false;
};

bool TakeNumber(absl::string_view* text, std::size_t min_digits,
                std::size_t max_digits, int* out) {
  std::size_t n = 0;
  int value = 0;
  while (n < max_digits && n < text->size() &&
         absl::ascii_isdigit((*text)[n])) {
    value = value * 10 + ((*text)[n] - '0');
    ++n;
  }
  if (n < min_digits) return false;
  text->remove_prefix(n);
  *out = value;
  return true;
}

template <std::size_t N>
bool TakeName(absl::string_view* text,
              const std::array<absl::string_view, N>& names, std::size_t size,
              int* out) {
  for (std::size_t i = 0; i < N; ++i) {
    const absl::string_view name = names[i].substr(0, size);
    if (!absl::StartsWithIgnoreCase(*text, name)) continue;
    text->remove_prefix(name.size());
    *out = static_cast<int>(i) + 1;
    return true;
  }
  return false;
}

bool TakeOffset(absl::string_view* text, absl::string_view form, int* out) {
  if (form[0] == 'Z' && absl::ConsumePrefix(text, "Z")) {
    *out = 0;
    return true;
  }
  if (text->empty() || ((*text)[0] != '+' && (*text)[0] != '-')) return false;
  const int sign = (*text)[0] == '-' ? -1 : 1;
  text->remove_prefix(1);
  const bool colon = absl::StrContains(form, ":");
  int parts[3] = {0, 0, 0};
  const int count = form.size() <= 3 ? 1 : form.size() <= 6 ? 2 : 3;
  for (int i = 0; i < count; ++i) {
    if (i > 0 && colon && !absl::ConsumePrefix(text, ":")) return false;
    if (!TakeNumber(text, 2, 2, &parts[i])) return false;
  }
  *out = sign * (parts[0] * 3600 + parts[1] * 60 + parts[2]);
  return true;
}

bool TakeFraction(absl::string_view* text, std::int64_t* nanos) {
  if (text->empty() || ((*text)[0] != '.' && (*text)[0] != ',')) return false;
  text->remove_prefix(1);
  std::size_t digits = 0;
  *nanos = 0;
  while (!text->empty() && absl::ascii_isdigit((*text)[0])) {
    if (digits < 9) *nanos = *nanos * 10 + ((*text)[0] - '0');
    ++digits;
    text->remove_prefix(1);
  }
  for (std::size_t i = digits; i < 9; ++i) *nanos *= 10;
  return digits > 0;
}

bool TakeZoneName(absl::string_view* text) {
  std::size_t n = 0;
  while (n < text->size() && absl::ascii_isupper((*text)[n])) ++n;
  if (n < 3 || n > 5) return false;
  text->remove_prefix(n);
  return true;
}

bool TakePm(absl::string_view* text, absl::string_view am, absl::string_view pm,
            Fields* fields) {
  fields->pm_set = true;
  if (absl::ConsumePrefix(text, pm)) {
    fields->pm = true;
    return true;
  }
  return absl::ConsumePrefix(text, am);
}

bool TakeElement(const Piece& piece, absl::string_view* text, Fields* f) {
  int ignored = 0;
  switch (piece.element) {
    case Element::kLongMonth:
      return TakeName(text, kMonths, 9, &f->month);
    case Element::kMonth:
      return TakeName(text, kMonths, 3, &f->month);
    case Element::kNumMonth:
      return TakeNumber(text, 1, 2, &f->month);
    case Element::kZeroMonth:
      return TakeNumber(text, 2, 2, &f->month);
    case Element::kLongWeekday:
      return TakeName(text, kDays, 9, &ignored);
    case Element::kWeekday:
      return TakeName(text, kDays, 3, &ignored);
    case Element::kUnderDay:
      absl::ConsumePrefix(text, " ");
      return TakeNumber(text, 1, 2, &f->day);
    case Element::kDay:
      return TakeNumber(text, 1, 2, &f->day);
    case Element::kZeroDay:
      return TakeNumber(text, 2, 2, &f->day);
    case Element::kUnderYearDay:
    case Element::kZeroYearDay:
      return TakeNumber(text, 3, 3, &ignored);
    case Element::kHour:
      return TakeNumber(text, 2, 2, &f->hour);
    case Element::kHour12:
      return TakeNumber(text, 1, 2, &f->hour);
    case Element::kZeroHour12:
      return TakeNumber(text, 2, 2, &f->hour);
    case Element::kMinute:
      return TakeNumber(text, 1, 2, &f->minute);
    case Element::kZeroMinute:
      return TakeNumber(text, 2, 2, &f->minute);
    case Element::kSecond:
      return TakeNumber(text, 1, 2, &f->second);
    case Element::kZeroSecond:
      return TakeNumber(text, 2, 2, &f->second);
    case Element::kLongYear:
      return TakeNumber(text, 4, 4, &f->year);
    case Element::kYear:
      if (!TakeNumber(text, 2, 2, &f->year)) return false;
      f->year += f->year >= 69 ? 1900 : 2000;
      return true;
    case Element::kUpperPm:
      return TakePm(text, "AM", "PM", f);
    case Element::kLowerPm:
      return TakePm(text, "am", "pm", f);
    case Element::kZoneName:
      return TakeZoneName(text);
    case Element::kOffset:
      return TakeOffset(text, piece.text, &f->offset);
    case Element::kFractionZeros:
      return TakeFraction(text, &f->nanos);
    case Element::kFractionNines:
      TakeFraction(text, &f->nanos);
      return true;
    case Element::kNone:
      return true;
  }
  return false;
}

absl::Status CannotParse(absl::string_view layout, absl::string_view whole,
                         absl::string_view rest, absl::string_view element) {
  return absl::InvalidArgumentError(absl::StrCat(
      "parsing time ", base::Quote(whole), " as ", base::Quote(layout),
      ": cannot parse ", base::Quote(rest), " as ", base::Quote(element)));
}

bool InRange(const Fields& f) {
  const absl::CivilSecond cs(f.year, f.month, f.day, f.hour, f.minute,
                             f.second);
  // Civil times normalise; a changed field was out of range.
  return cs.month() == f.month && cs.day() == f.day && cs.hour() == f.hour &&
         cs.minute() == f.minute && cs.second() == f.second;
}

}  // namespace

absl::StatusOr<Time> ParseTime(absl::string_view layout,
                               absl::string_view text) {
  const absl::string_view whole_layout = layout;
  absl::string_view rest = text;
  Fields fields;
  while (!layout.empty()) {
    const Piece piece = NextPiece(&layout);
    if (!absl::ConsumePrefix(&rest, piece.literal)) {
      return CannotParse(whole_layout, text, rest, piece.literal);
    }
    const absl::string_view before = rest;
    if (!TakeElement(piece, &rest, &fields)) {
      return CannotParse(whole_layout, text, before, piece.text);
    }
    // A fraction may follow the seconds although the layout has none.
    if (piece.element == Element::kZeroSecond ||
        piece.element == Element::kSecond) {
      absl::string_view ahead = layout;
      const Piece next = NextPiece(&ahead);
      const bool named =
          next.literal.empty() && (next.element == Element::kFractionZeros ||
                                   next.element == Element::kFractionNines);
      if (!named && rest.size() > 1 && rest[0] == '.') {
        TakeFraction(&rest, &fields.nanos);
      }
    }
  }
  if (!rest.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("parsing time ", base::Quote(text),
                     ": extra text: ", base::Quote(rest)));
  }
  if (fields.pm_set) {
    if (fields.pm && fields.hour < 12) fields.hour += 12;
    if (!fields.pm && fields.hour == 12) fields.hour = 0;
  }
  if (!InRange(fields)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "parsing time ", base::Quote(text), ": value out of range"));
  }
  const absl::TimeZone zone = fields.offset == 0
                                  ? absl::UTCTimeZone()
                                  : absl::FixedTimeZone(fields.offset);
  const absl::CivilSecond cs(fields.year, fields.month, fields.day, fields.hour,
                             fields.minute, fields.second);
  return Time{absl::FromCivil(cs, zone) + absl::Nanoseconds(fields.nanos),
              zone};
}

}  // namespace narthex::tmpl
