#include "libs/base/duration.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"

namespace narthex::base {
namespace {

struct Unit {
  absl::string_view name;
  std::int64_t ms;
};

constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;
constexpr std::int64_t kWeek = 7 * kDay;
constexpr std::int64_t kYear = 365 * kDay;

// From large to small, the order in which they may appear.
constexpr std::array<Unit, 7> kUnits = {{{"y", kYear},
                                         {"w", kWeek},
                                         {"d", kDay},
                                         {"h", kHour},
                                         {"m", kMinute},
                                         {"s", kSecond},
                                         {"ms", 1}}};

constexpr std::int64_t kMaxMs =
    std::numeric_limits<std::int64_t>::max() / 1'000'000;

absl::Status Malformed(absl::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("not a valid duration string: \"", text, "\""));
}

// Takes the digits at the front of `*rest`.
absl::string_view TakeDigits(absl::string_view* rest) {
  std::size_t n = 0;
  while (n < rest->size() && absl::ascii_isdigit((*rest)[n])) ++n;
  const absl::string_view digits = rest->substr(0, n);
  rest->remove_prefix(n);
  return digits;
}

absl::string_view TakeLetters(absl::string_view* rest) {
  std::size_t n = 0;
  while (n < rest->size() && !absl::ascii_isdigit((*rest)[n])) ++n;
  const absl::string_view letters = rest->substr(0, n);
  rest->remove_prefix(n);
  return letters;
}

// "1.5" from whole units and a remainder of `unit` nanoseconds.
std::string WithFraction(std::uint64_t value, std::uint64_t unit) {
  std::string text = absl::StrCat(value / unit);
  std::uint64_t rest = value % unit;
  if (rest == 0) return text;
  text += '.';
  for (std::uint64_t scale = unit / 10; rest != 0; scale /= 10) {
    text += static_cast<char>('0' + rest / scale);
    rest %= scale;
  }
  return text;
}

// Adds `count` (digits, perhaps with a fraction) of 2^shift bytes; false when
// it is no number or the sum overflows.
bool AddBytes(absl::string_view count, int shift, std::int64_t* sum) {
  double exact = 0;
  if (!absl::SimpleAtod(count, &exact)) return false;
  std::int64_t whole = 0;
  const absl::string_view digits = count.substr(0, count.find('.'));
  if (!digits.empty() && !absl::SimpleAtoi(digits, &whole)) return false;
  const double fraction = exact - static_cast<double>(whole);
  std::int64_t bytes = 0;
  return !__builtin_mul_overflow(whole, std::int64_t{1} << shift, &bytes) &&
         !__builtin_add_overflow(
             bytes, static_cast<std::int64_t>(std::ldexp(fraction, shift)),
             &bytes) &&
         !__builtin_add_overflow(*sum, bytes, sum);
}

// Sizes whose units end in `suffix`, "iB" or "B".
absl::StatusOr<std::int64_t> ParseSizeParts(absl::string_view text,
                                            absl::string_view suffix) {
  constexpr absl::string_view kPrefixes = "KMGTPE";
  constexpr absl::string_view kNumber = "0123456789.";
  std::int64_t sum = 0;
  absl::string_view rest = text;
  do {
    const auto number = std::min(rest.find_first_not_of(kNumber), rest.size());
    absl::string_view unit = rest.substr(number);
    unit = unit.substr(0, unit.find_first_of(kNumber));
    int shift = 0;
    const bool known =
        unit == "B" ||
        (unit.size() == suffix.size() + 1 && absl::EndsWith(unit, suffix) &&
         (shift = 10 * static_cast<int>(kPrefixes.find(unit[0]) + 1)) > 0);
    if (!known) {
      return absl::InvalidArgumentError(absl::StrCat(
          "not a valid size: \"", text, "\": use B, KB, MB, GB, TB, PB or EB"));
    }
    if (!AddBytes(rest.substr(0, number), shift, &sum)) {
      return absl::InvalidArgumentError(
          absl::StrCat("not a valid size: \"", text, "\""));
    }
    rest.remove_prefix(number + unit.size());
  } while (!rest.empty());
  return sum;
}

}  // namespace

absl::StatusOr<std::int64_t> ParseDuration(absl::string_view text) {
  if (text == "0") return 0;
  if (text.empty()) {
    return absl::InvalidArgumentError("empty duration string");
  }
  std::int64_t total = 0;
  std::size_t next_unit = 0;
  absl::string_view rest = text;
  while (!rest.empty()) {
    const absl::string_view digits = TakeDigits(&rest);
    const absl::string_view letters = TakeLetters(&rest);
    if (digits.empty() || letters.empty()) return Malformed(text);
    std::size_t unit = 0;
    while (unit < kUnits.size() && kUnits[unit].name != letters) ++unit;
    if (unit == kUnits.size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "unknown unit \"", letters, "\" in duration \"", text, "\""));
    }
    if (unit < next_unit) return Malformed(text);
    std::int64_t count = 0;
    if (!absl::SimpleAtoi(digits, &count) ||
        count > (kMaxMs - total) / kUnits[unit].ms) {
      return absl::InvalidArgumentError("duration out of range");
    }
    total += count * kUnits[unit].ms;
    next_unit = unit + 1;
  }
  return total;
}

std::string FormatDuration(std::int64_t ms) {
  if (ms == 0) return "0s";
  std::string out = ms < 0 ? "-" : "";
  std::int64_t rest = std::abs(ms);
  for (const Unit& unit : kUnits) {
    // 366 days is not "1y1d" but says what was written.
    const bool only_exact = unit.ms >= kWeek;
    if (only_exact && rest % unit.ms != 0) continue;
    if (const std::int64_t count = rest / unit.ms; count > 0) {
      absl::StrAppend(&out, count, unit.name);
      rest -= count * unit.ms;
    }
  }
  return out;
}

std::string FormatGoDuration(std::int64_t ns) {
  if (ns == 0) return "0s";
  const std::string sign = ns < 0 ? "-" : "";
  const std::uint64_t u = ns < 0 ? 0 - static_cast<std::uint64_t>(ns)
                                 : static_cast<std::uint64_t>(ns);
  if (u < 1'000) return absl::StrCat(sign, u, "ns");
  if (u < 1'000'000) return absl::StrCat(sign, WithFraction(u, 1'000), "µs");
  if (u < 1'000'000'000) {
    return absl::StrCat(sign, WithFraction(u, 1'000'000), "ms");
  }
  const std::uint64_t minutes = u / 60'000'000'000;
  const std::string seconds =
      WithFraction(u % 60'000'000'000, 1'000'000'000) + "s";
  if (minutes == 0) return sign + seconds;
  if (minutes < 60) return absl::StrCat(sign, minutes, "m", seconds);
  return absl::StrCat(sign, minutes / 60, "h", minutes % 60, "m", seconds);
}

absl::StatusOr<std::int64_t> ParseSize(absl::string_view text) {
  if (text == "0") return 0;
  absl::StatusOr<std::int64_t> size = ParseSizeParts(text, "iB");
  if (!size.ok()) size = ParseSizeParts(text, "B");
  return size;
}

std::string FormatRfc3339(std::int64_t ms) {
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%E*SZ", absl::FromUnixMillis(ms),
                          absl::UTCTimeZone());
}

absl::StatusOr<std::int64_t> ParseRfc3339(absl::string_view text) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, &error)) {
    return absl::InvalidArgumentError(
        absl::StrCat("not an RFC 3339 time: \"", text, "\": ", error));
  }
  return absl::ToUnixMillis(time);
}

}  // namespace narthex::base
