#include "libs/tmpl/go_time.h"

#include <array>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "libs/base/duration.h"
#include "libs/base/quote.h"

namespace narthex::tmpl {
namespace {

constexpr std::array<absl::string_view, 12> kMonths = {
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};
constexpr std::array<absl::string_view, 7> kDays = {
    "Monday", "Tuesday",  "Wednesday", "Thursday",
    "Friday", "Saturday", "Sunday"};

enum class Element {
  kNone,
  kLongMonth,
  kMonth,
  kNumMonth,
  kZeroMonth,
  kLongWeekday,
  kWeekday,
  kDay,
  kUnderDay,
  kZeroDay,
  kUnderYearDay,
  kZeroYearDay,
  kHour,
  kHour12,
  kZeroHour12,
  kMinute,
  kZeroMinute,
  kSecond,
  kZeroSecond,
  kLongYear,
  kYear,
  kUpperPm,
  kLowerPm,
  kZoneName,
  kOffset,
  kFractionZeros,
  kFractionNines,
};

struct ElementText {
  absl::string_view text;
  Element element;
};

// The longer of two texts with a common beginning comes first.
constexpr std::array<ElementText, 33> kElements = {{
    {"January", Element::kLongMonth},
    {"Jan", Element::kMonth},
    {"Monday", Element::kLongWeekday},
    {"Mon", Element::kWeekday},
    {"MST", Element::kZoneName},
    {"002", Element::kZeroYearDay},
    {"01", Element::kZeroMonth},
    {"02", Element::kZeroDay},
    {"03", Element::kZeroHour12},
    {"04", Element::kZeroMinute},
    {"05", Element::kZeroSecond},
    {"06", Element::kYear},
    {"15", Element::kHour},
    {"1", Element::kNumMonth},
    {"2006", Element::kLongYear},
    {"2", Element::kDay},
    {"__2", Element::kUnderYearDay},
    {"_2", Element::kUnderDay},
    {"3", Element::kHour12},
    {"4", Element::kMinute},
    {"5", Element::kSecond},
    {"PM", Element::kUpperPm},
    {"pm", Element::kLowerPm},
    {"-070000", Element::kOffset},
    {"-07:00:00", Element::kOffset},
    {"-0700", Element::kOffset},
    {"-07:00", Element::kOffset},
    {"-07", Element::kOffset},
    {"Z070000", Element::kOffset},
    {"Z07:00:00", Element::kOffset},
    {"Z0700", Element::kOffset},
    {"Z07:00", Element::kOffset},
    {"Z07", Element::kOffset},
}};

struct Piece {
  absl::string_view literal;  // Before the element.
  absl::string_view text;     // The element as the layout writes it.
  Element element = Element::kNone;
};

Piece FractionAt(absl::string_view layout, std::size_t at) {
  std::size_t end = at + 1;
  if (end >= layout.size() || (layout[end] != '0' && layout[end] != '9')) {
    return {};
  }
  const char digit = layout[end];
  while (end < layout.size() && layout[end] == digit) ++end;
  if (end < layout.size() && absl::ascii_isdigit(layout[end])) return {};
  return {layout.substr(0, at), layout.substr(at, end - at),
          digit == '0' ? Element::kFractionZeros : Element::kFractionNines};
}

Piece ElementAt(absl::string_view layout, std::size_t at) {
  const absl::string_view rest = layout.substr(at);
  if (rest[0] == '.' || rest[0] == ',') return FractionAt(layout, at);
  for (const ElementText& known : kElements) {
    if (!absl::StartsWith(rest, known.text)) continue;
    const std::size_t size = known.text.size();
    const bool word = known.text == "Jan" || known.text == "Mon";
    if (word && rest.size() > size && absl::ascii_islower(rest[size])) {
      continue;
    }
    // "_2006" is an underscore and a year.
    if (known.text == "_2" && absl::StartsWith(rest, "_2006")) {
      return {layout.substr(0, at + 1), rest.substr(1, 4), Element::kLongYear};
    }
    return {layout.substr(0, at), rest.substr(0, size), known.element};
  }
  return {};
}

// Cuts the text up to and including the next element from `*layout`.
Piece NextPiece(absl::string_view* layout) {
  for (std::size_t at = 0; at < layout->size(); ++at) {
    Piece piece = ElementAt(*layout, at);
    if (piece.element == Element::kNone) continue;
    layout->remove_prefix(piece.literal.size() + piece.text.size());
    return piece;
  }
  Piece rest{*layout, {}, Element::kNone};
  *layout = {};
  return rest;
}

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

const Time& Receiver(absl::Span<const Value> args) {
  return args[0].time_value();
}

Function CivilMethod(int (*get)(absl::CivilSecond)) {
  return {"t", [get](absl::Span<const Value> args) {
            const Time& time = Receiver(args);
            return Value::Int(get(time.zone.At(time.at).cs));
          }};
}

Function NameMethod(absl::string_view layout) {
  return {"t", [layout](absl::Span<const Value> args) {
            return Value::String(FormatTime(Receiver(args), layout));
          }};
}

Function UnixMethod(std::int64_t (*get)(absl::Time)) {
  return {"t", [get](absl::Span<const Value> args) {
            return Value::Int(get(Receiver(args).at));
          }};
}

Function CompareMethod(bool (*holds)(absl::Time, absl::Time)) {
  return {
      "tt", [holds](absl::Span<const Value> args) {
        return Value::Bool(holds(Receiver(args).at, args[1].time_value().at));
      }};
}

Function SecondsMethod(double unit_ns) {
  return {"d", [unit_ns](absl::Span<const Value> args) {
            return Value::Float(static_cast<double>(args[0].duration_ns()) /
                                unit_ns);
          }};
}

Function CountMethod(std::int64_t unit_ns) {
  return {"d", [unit_ns](absl::Span<const Value> args) {
            return Value::Int(args[0].duration_ns() / unit_ns);
          }};
}

absl::StatusOr<Value> Truncate(absl::Span<const Value> args) {
  const std::int64_t ns = args[0].duration_ns();
  const std::int64_t unit = args[1].duration_ns();
  return Value::Duration(unit <= 0 ? ns : ns - ns % unit);
}

absl::StatusOr<Value> Round(absl::Span<const Value> args) {
  const std::int64_t ns = args[0].duration_ns();
  const std::int64_t unit = args[1].duration_ns();
  if (unit <= 0) return Value::Duration(ns);
  const std::int64_t rest = ns % unit;
  const std::int64_t down = ns - rest;
  if (std::abs(rest) < unit - std::abs(rest)) return Value::Duration(down);
  return Value::Duration(ns < 0 ? down - unit : down + unit);
}

absl::StatusOr<Value> AddDate(absl::Span<const Value> args) {
  const Time& time = Receiver(args);
  const auto info = time.zone.At(time.at);
  const absl::CivilSecond cs = info.cs;
  const absl::CivilSecond moved(
      cs.year() + args[1].int_value(), cs.month() + args[2].int_value(),
      cs.day() + args[3].int_value(), cs.hour(), cs.minute(), cs.second());
  return Value::OfTime(
      {absl::FromCivil(moved, time.zone) + info.subsecond, time.zone});
}

}  // namespace

std::string FormatTime(const Time& time, absl::string_view layout) {
  const absl::TimeZone::CivilInfo info = time.zone.At(time.at);
  std::string out;
  while (!layout.empty()) {
    const Piece piece = NextPiece(&layout);
    absl::StrAppend(&out, piece.literal, FormatElement(piece, info));
  }
  return out;
}

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

std::string TimeString(const Time& time) {
  return FormatTime(time, "2006-01-02 15:04:05.999999999 -0700 MST");
}

const FuncMap& TimeMethods() {
  static const FuncMap methods = {
      {"Format",
       {"ts",
        [](absl::Span<const Value> args) {
          return Value::String(
              FormatTime(Receiver(args), args[1].string_value()));
        }}},
      {"String", NameMethod("2006-01-02 15:04:05.999999999 -0700 MST")},
      {"Month", NameMethod("January")},
      {"Weekday", NameMethod("Monday")},
      {"Unix", UnixMethod(absl::ToUnixSeconds)},
      {"UnixMilli", UnixMethod(absl::ToUnixMillis)},
      {"UnixMicro", UnixMethod(absl::ToUnixMicros)},
      {"UnixNano", UnixMethod(absl::ToUnixNanos)},
      {"Year", CivilMethod([](absl::CivilSecond cs) {
         return static_cast<int>(cs.year());
       })},
      {"Day", CivilMethod([](absl::CivilSecond cs) { return cs.day(); })},
      {"Hour", CivilMethod([](absl::CivilSecond cs) { return cs.hour(); })},
      {"Minute", CivilMethod([](absl::CivilSecond cs) { return cs.minute(); })},
      {"Second", CivilMethod([](absl::CivilSecond cs) { return cs.second(); })},
      {"YearDay", CivilMethod([](absl::CivilSecond cs) {
         return absl::GetYearDay(absl::CivilDay(cs));
       })},
      {"After",
       CompareMethod([](absl::Time a, absl::Time b) { return a > b; })},
      {"Before",
       CompareMethod([](absl::Time a, absl::Time b) { return a < b; })},
      {"Equal",
       CompareMethod([](absl::Time a, absl::Time b) { return a == b; })},
      {"IsZero",
       {"t",
        [](absl::Span<const Value> args) {
          return Value::Bool(Receiver(args).at == ZeroTime().at);
        }}},
      {"Add",
       {"td",
        [](absl::Span<const Value> args) {
          Time time = Receiver(args);
          time.at += absl::Nanoseconds(args[1].duration_ns());
          return Value::OfTime(time);
        }}},
      {"Sub",
       {"tt",
        [](absl::Span<const Value> args) {
          return Value::Duration(absl::ToInt64Nanoseconds(
              Receiver(args).at - args[1].time_value().at));
        }}},
      {"AddDate", {"tiii", AddDate}},
      {"UTC",
       {"t",
        [](absl::Span<const Value> args) {
          return Value::OfTime({Receiver(args).at, absl::UTCTimeZone()});
        }}},
      {"Local",
       {"t",
        [](absl::Span<const Value> args) {
          return Value::OfTime({Receiver(args).at, absl::LocalTimeZone()});
        }}},
  };
  return methods;
}

const FuncMap& DurationMethods() {
  static const FuncMap methods = {
      {"String",
       {"d",
        [](absl::Span<const Value> args) {
          return Value::String(base::FormatGoDuration(args[0].duration_ns()));
        }}},
      {"Hours", SecondsMethod(3600e9)},
      {"Minutes", SecondsMethod(60e9)},
      {"Seconds", SecondsMethod(1e9)},
      {"Milliseconds", CountMethod(1000000)},
      {"Microseconds", CountMethod(1000)},
      {"Nanoseconds", CountMethod(1)},
      {"Truncate", {"dd", Truncate}},
      {"Round", {"dd", Round}},
      {"Abs",
       {"d",
        [](absl::Span<const Value> args) {
          return Value::Duration(std::abs(args[0].duration_ns()));
        }}},
  };
  return methods;
}

}  // namespace narthex::tmpl
