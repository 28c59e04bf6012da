#include "libs/tmpl/internal/number.h"

#include <charconv>
#include <cstdint>
#include <limits>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "libs/base/float_format.h"
#include "libs/base/quote.h"

namespace narthex::tmpl::internal {
namespace {

int BaseOf(absl::string_view* digits) {
  if (digits->size() < 2 || (*digits)[0] != '0') return 10;
  const char mark =
      absl::ascii_tolower(static_cast<unsigned char>((*digits)[1]));
  const int base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
  digits->remove_prefix(mark == 'x' || mark == 'b' || mark == 'o' ? 2 : 1);
  return base;
}

std::optional<std::uint64_t> Magnitude(absl::string_view digits) {
  const int base = BaseOf(&digits);
  std::string plain;
  for (const char c : digits) {
    if (c != '_') plain += c;
  }
  if (plain.empty() || digits.back() == '_') return std::nullopt;
  std::uint64_t value = 0;
  const char* end = plain.data() + plain.size();
  const auto read = std::from_chars(plain.data(), end, value, base);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return value;
}

std::optional<Value> ParseInteger(absl::string_view text) {
  const bool negative = absl::ConsumePrefix(&text, "-");
  if (!negative) absl::ConsumePrefix(&text, "+");
  const auto magnitude = Magnitude(text);
  if (!magnitude) return std::nullopt;
  constexpr std::uint64_t kLimit = std::uint64_t{1} << 63;
  if (negative) {
    if (*magnitude > kLimit) return std::nullopt;
    return Value::Int(static_cast<std::int64_t>(~*magnitude + 1));
  }
  if (*magnitude >= kLimit) return Value::Uint(*magnitude);
  return Value::Int(static_cast<std::int64_t>(*magnitude));
}

}  // namespace

std::optional<Value> ParseNumber(absl::string_view text) {
  if (auto integer = ParseInteger(text)) return integer;
  // Words such as "inf" and "nan" are no literals.
  std::string plain;
  for (const char c : text) {
    if (c != '_') plain += c;
  }
  const std::size_t first = plain.find_first_not_of("+-");
  if (first == std::string::npos ||
      !(plain[first] == '.' ||
        absl::ascii_isdigit(static_cast<unsigned char>(plain[first])))) {
    return std::nullopt;
  }
  const auto number = base::ParseFloat(plain);
  if (!number.ok()) return std::nullopt;
  return Value::Float(*number);
}

std::optional<Value> ParseCharacter(absl::string_view text) {
  // Unquoting wants a string; a character literal is a string of one.
  const auto unquoted = base::Unquote(text);
  if (!unquoted.ok() || unquoted->empty()) return std::nullopt;
  const auto first = static_cast<unsigned char>((*unquoted)[0]);
  const std::size_t size = first < 0x80   ? 1
                           : first < 0xE0 ? 2
                           : first < 0xF0 ? 3
                                          : 4;
  if (unquoted->size() != size) return std::nullopt;
  std::int64_t value = size == 1 ? first : first & (0xFF >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    value = value << 6 | ((*unquoted)[i] & 0x3F);
  }
  return Value::Int(value);
}

}  // namespace narthex::tmpl::internal
