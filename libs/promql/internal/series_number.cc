#include "libs/promql/internal/series_number.h"

#include <cstddef>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "libs/base/float_format.h"
#include "libs/model/sample.h"

namespace narthex::promql::internal {
namespace {

/// Takes an unsigned decimal number such as 1, .5 or 1e-3 off the front.
absl::string_view TakeDigits(absl::string_view* text) {
  std::size_t length = 0;
  const auto at = [&](std::size_t i) {
    return i < text->size() ? (*text)[i] : '\0';
  };
  while (absl::ascii_isdigit(static_cast<unsigned char>(at(length))) ||
         at(length) == '.' || at(length) == '_') {
    ++length;
  }
  if (length > 0 && (at(length) == 'e' || at(length) == 'E')) {
    std::size_t end = length + 1;
    if (at(end) == '+' || at(end) == '-') ++end;
    const std::size_t digits = end;
    while (absl::ascii_isdigit(static_cast<unsigned char>(at(end)))) ++end;
    if (end > digits) length = end;
  }
  const absl::string_view digits = text->substr(0, length);
  text->remove_prefix(length);
  return digits;
}

std::optional<double> NumberOf(absl::string_view digits) {
  std::string clean;
  for (const char c : digits) {
    if (c != '_') clean += c;
  }
  // As in Go, a leading zero makes an integer octal.
  if (clean.size() > 1 && clean[0] == '0' &&
      clean.find_first_not_of("01234567") == std::string::npos) {
    double value = 0;
    for (const char c : clean) value = value * 8 + (c - '0');
    return value;
  }
  const auto value = base::ParseFloat(clean);
  if (!value.ok()) return std::nullopt;
  return *value;
}

}  // namespace

std::optional<double> TakeSeriesNumber(absl::string_view* text) {
  if (absl::ConsumePrefix(text, "stale")) return model::StaleNan();
  const bool negative = absl::ConsumePrefix(text, "-");
  if (!negative) absl::ConsumePrefix(text, "+");
  std::optional<double> value;
  if (absl::StartsWithIgnoreCase(*text, "inf")) {
    text->remove_prefix(3);
    value = base::ParseFloat("Inf").value();
  } else if (absl::StartsWithIgnoreCase(*text, "nan")) {
    text->remove_prefix(3);
    return model::NormalNan();
  } else {
    value = NumberOf(TakeDigits(text));
  }
  if (value.has_value() && negative) value = -*value;
  return value;
}

}  // namespace narthex::promql::internal
