#include "libs/tmpl/humanize.h"

#include <array>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/float_format.h"
#include "libs/base/quote.h"

namespace narthex::tmpl {
namespace {

constexpr std::array<const char*, 8> kLarge = {"k", "M", "G", "T",
                                               "P", "E", "Z", "Y"};
constexpr std::array<const char*, 8> kSmall = {"m", "u", "n", "p",
                                               "f", "a", "z", "y"};
constexpr std::array<const char*, 8> kBinary = {"ki", "Mi", "Gi", "Ti",
                                                "Pi", "Ei", "Zi", "Yi"};

// Four digits as Go's %.4g, which knows NaN, +Inf and -Inf.
std::string Short(double value) {
  if (!std::isfinite(value)) return base::FormatFloat(value);
  return absl::StrFormat("%.4g", value);
}

std::string Shrink(double value, double step,
                   const std::array<const char*, 8>& prefixes) {
  const char* prefix = "";
  for (const char* next : prefixes) {
    if (std::fabs(value) < step) break;
    prefix = next;
    value /= step;
  }
  return absl::StrCat(Short(value), prefix);
}

std::string Enlarge(double value) {
  const char* prefix = "";
  for (const char* next : kSmall) {
    if (std::fabs(value) >= 1) break;
    prefix = next;
    value *= 1000;
  }
  return absl::StrCat(Short(value), prefix);
}

}  // namespace

absl::StatusOr<double> ToNumber(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kFloat:
      return value.float_value();
    case Value::Kind::kInt:
      return static_cast<double>(value.int_value());
    case Value::Kind::kUint:
      return static_cast<double>(value.uint_value());
    case Value::Kind::kDuration:
      return static_cast<double>(value.duration_ns()) / 1e9;
    case Value::Kind::kString: {
      auto number = base::ParseFloat(value.string_value());
      if (number.ok()) return number;
      return absl::InvalidArgumentError(
          absl::StrCat("strconv.ParseFloat: parsing ",
                       base::Quote(value.string_value()), ": invalid syntax"));
    }
    default:
      return absl::InvalidArgumentError(absl::StrCat(
          "can't convert ", value.is_nil() ? "<nil>" : value.TypeName(),
          " to float"));
  }
}

std::string Humanize(double value) {
  if (value == 0 || !std::isfinite(value)) return Short(value);
  return std::fabs(value) >= 1 ? Shrink(value, 1000, kLarge) : Enlarge(value);
}

std::string Humanize1024(double value) {
  if (std::fabs(value) <= 1 || !std::isfinite(value)) return Short(value);
  return Shrink(value, 1024, kBinary);
}

std::string HumanizeDuration(double seconds) {
  if (!std::isfinite(seconds)) return Short(seconds);
  if (seconds == 0) return "0s";
  if (std::fabs(seconds) < 1) return Enlarge(seconds) + "s";
  const char* sign = seconds < 0 ? "-" : "";
  const double magnitude = std::fabs(seconds);
  // Beyond this the days would overflow; nothing lasts so long.
  if (magnitude >= 9e18) return absl::StrCat(Short(seconds), "s");
  const auto whole = static_cast<std::int64_t>(magnitude);
  const std::int64_t days = whole / 86400;
  const std::int64_t hours = whole / 3600 % 24;
  const std::int64_t minutes = whole / 60 % 60;
  const std::int64_t rest = whole % 60;
  if (days != 0) {
    return absl::StrCat(sign, days, "d ", hours, "h ", minutes, "m ", rest,
                        "s");
  }
  if (hours != 0) {
    return absl::StrCat(sign, hours, "h ", minutes, "m ", rest, "s");
  }
  if (minutes != 0) return absl::StrCat(sign, minutes, "m ", rest, "s");
  return absl::StrCat(sign, Short(magnitude), "s");
}

std::string HumanizePercentage(double ratio) {
  return absl::StrCat(Short(ratio * 100), "%");
}

absl::StatusOr<Time> SecondsToTime(double seconds) {
  const double nanos = seconds * 1e9;
  if (!(std::fabs(nanos) < 9223372036854775807.0)) {
    return absl::InvalidArgumentError(
        absl::StrCat(base::FormatFloatG(seconds),
                     " cannot be represented as a nanoseconds timestamp since "
                     "it overflows int64"));
  }
  const std::int64_t ms = static_cast<std::int64_t>(nanos) / 1000000;
  return Time{absl::FromUnixMillis(ms)};
}

}  // namespace narthex::tmpl
