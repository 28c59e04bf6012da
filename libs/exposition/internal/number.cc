#include "libs/exposition/internal/number.h"

#include <charconv>
#include <cmath>
#include <limits>

#include "libs/base/float_format.h"
#include "libs/model/sample.h"

namespace narthex::exposition::internal {
namespace {

// The powers of ten that a double holds exactly.
constexpr double kPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                              1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                              1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
constexpr std::uint64_t kExactMantissa = std::uint64_t{1} << 53;
constexpr int kMaxDigits = 18;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool EndsToken(char c) { return c == ' ' || c == '\n' || c == '\t'; }

const char* ParseSlowly(const char* p, const char* end, double* value) {
  const char* token_end = p;
  while (token_end < end && !EndsToken(*token_end)) ++token_end;
  const absl::string_view token(p, static_cast<std::size_t>(token_end - p));
  if (token.find_first_of("_pPxX") != absl::string_view::npos) return nullptr;
  const auto [stop, error] = std::from_chars(p, token_end, *value);
  if (error != std::errc() || stop != token_end) {
    const auto parsed = base::ParseFloat(token);
    if (!parsed.ok()) return nullptr;
    *value = *parsed;
  }
  if (std::isnan(*value)) *value = model::NormalNan();
  return token_end;
}

/// Reads "e-05" at `*p`; false when it is malformed or out of bounds.
bool ParseExponent(const char** p, const char* end, int* exponent) {
  const char* q = *p + 1;
  bool negative = false;
  if (q < end && (*q == '-' || *q == '+')) negative = *q++ == '-';
  int value = 0;
  const char* digits = q;
  while (q < end && IsDigit(*q) && value < 1000)
    value = value * 10 + (*q++ - '0');
  if (q == digits) return false;
  *exponent = negative ? -value : value;
  *p = q;
  return true;
}

}  // namespace

const char* ParseNumber(const char* p, const char* end, double* value) {
  const char* const start = p;
  const bool negative = p < end && *p == '-';
  if (negative) ++p;
  std::uint64_t mantissa = 0;
  const char* digits = p;
  while (p < end && IsDigit(*p)) {
    mantissa = mantissa * 10 + static_cast<std::uint64_t>(*p++ - '0');
  }
  std::ptrdiff_t count = p - digits;
  int exponent = 0;
  if (p < end && *p == '.') {
    digits = ++p;
    while (p < end && IsDigit(*p)) {
      mantissa = mantissa * 10 + static_cast<std::uint64_t>(*p++ - '0');
    }
    exponent = -static_cast<int>(p - digits);
    count += p - digits;
  }
  if (count == 0 || count > kMaxDigits) return ParseSlowly(start, end, value);
  if (p < end && (*p == 'e' || *p == 'E')) {
    int written = 0;
    if (!ParseExponent(&p, end, &written)) return nullptr;
    exponent += written;
  }
  if ((p < end && !EndsToken(*p)) || mantissa > kExactMantissa ||
      exponent < -22 || exponent > 22) {
    return ParseSlowly(start, end, value);
  }
  // Both operands are exact, so the one operation rounds correctly.
  const auto whole = static_cast<double>(mantissa);
  const double result = exponent < 0   ? whole / kPowers[-exponent]
                        : exponent > 0 ? whole * kPowers[exponent]
                                       : whole;
  *value = negative ? -result : result;
  return p;
}

const char* ParseMilliseconds(const char* p, const char* end,
                              std::int64_t* value) {
  const char* const start = p;
  std::uint64_t result = 0;
  while (p < end && IsDigit(*p)) {
    if (p - start >= 19) return nullptr;
    result = result * 10 + static_cast<std::uint64_t>(*p++ - '0');
  }
  if (p == start || result > static_cast<std::uint64_t>(
                                 std::numeric_limits<std::int64_t>::max())) {
    return nullptr;
  }
  *value = static_cast<std::int64_t>(result);
  return p;
}

}  // namespace narthex::exposition::internal
