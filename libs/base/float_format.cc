#include "libs/base/float_format.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace narthex::base {
namespace {

// All integers below are doubles: 2^53.
constexpr double kExactIntegers = 9007199254740992.0;

// Names of what is not finite; empty for finite values.
absl::string_view NonFiniteName(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return {};
}

absl::Status Malformed(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("parsing \"", text, "\": ", why));
}

}  // namespace

void AppendFloat(double value, std::string* out) {
  if (const absl::string_view name = NonFiniteName(value); !name.empty()) {
    absl::StrAppend(out, name);
    return;
  }
  // The longest fixed form of a double has 309 digits before the point or
  // some 340 after it.
  std::array<char, 400> buffer;
  if (std::fabs(value) < kExactIntegers) {
    const auto [end, error] =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                      std::chars_format::fixed);
    out->append(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
    return;
  }
  // Beyond 2^53 the fixed form would print every digit of the integer; Go
  // prints the shortest that identify it and then zeros.
  const auto [end, error] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                    std::chars_format::scientific);
  const char* exponent_mark = std::find(buffer.data(), end, 'e');
  int zeros = 0;
  std::from_chars(exponent_mark + 2, end, zeros);
  bool fraction = false;
  for (const char* digit = buffer.data(); digit != exponent_mark; ++digit) {
    if (*digit == '.') {
      fraction = true;
      continue;
    }
    out->push_back(*digit);
    if (fraction) --zeros;
  }
  out->append(static_cast<std::size_t>(zeros), '0');
}

std::string FormatFloat(double value) {
  std::string out;
  AppendFloat(value, &out);
  return out;
}

std::string FormatFloatG(double value) {
  if (const absl::string_view name = NonFiniteName(value); !name.empty()) {
    return std::string(name);
  }
  std::array<char, 64> buffer;
  const auto [end, error] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                    std::chars_format::scientific);
  std::string scientific(buffer.data(), end);
  const std::size_t e = scientific.find('e');
  int exponent = 0;
  const char* digits = scientific.data() + e + 1;
  if (*digits == '+') ++digits;
  std::from_chars(digits, scientific.data() + scientific.size(), exponent);
  if (exponent < -4 || exponent >= 6) return scientific;
  return FormatFloat(value);
}

absl::StatusOr<double> ParseFloat(absl::string_view text) {
  absl::string_view rest = text;
  bool negative = false;
  if (!rest.empty() && (rest[0] == '+' || rest[0] == '-')) {
    negative = rest[0] == '-';
    rest.remove_prefix(1);
  }
  const auto signed_value = [negative](double v) { return negative ? -v : v; };
  if (absl::EqualsIgnoreCase(rest, "inf") ||
      absl::EqualsIgnoreCase(rest, "infinity")) {
    return signed_value(std::numeric_limits<double>::infinity());
  }
  if (absl::EqualsIgnoreCase(text, "nan")) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  auto format = std::chars_format::general;
  if (absl::StartsWithIgnoreCase(rest, "0x")) {
    format = std::chars_format::hex;
    rest.remove_prefix(2);
    // Go wants the binary exponent; from_chars would take "0x1f" without it.
    if (!absl::StrContains(rest, 'p') && !absl::StrContains(rest, 'P')) {
      return Malformed(text, "invalid syntax");
    }
  }
  if (rest.empty() ||
      !(std::isxdigit(static_cast<unsigned char>(rest[0])) || rest[0] == '.')) {
    return Malformed(text, "invalid syntax");
  }
  double value = 0;
  const auto [end, error] =
      std::from_chars(rest.data(), rest.data() + rest.size(), value, format);
  if (end != rest.data() + rest.size() ||
      error == std::errc::invalid_argument) {
    return Malformed(text, "invalid syntax");
  }
  if (error == std::errc::result_out_of_range) {
    // Too small is zero in Go; too large is an error.
    value = std::strtod(std::string(text).c_str(), nullptr);
    if (std::isinf(value)) return Malformed(text, "value out of range");
    return value;
  }
  return signed_value(value);
}

}  // namespace narthex::base
