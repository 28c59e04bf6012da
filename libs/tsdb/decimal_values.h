#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>

#include "libs/tsdb/bit_code.h"
#include "libs/tsdb/bits.h"

/// Values with few decimal digits as integers: most counters and gauges are
/// some, and their second differences are small. A difference is written as a
/// Rice code, whose parameter follows the size of those before.
namespace narthex::tsdb {

/// No value has more digits after its point.
constexpr int kMostDigits = 9;

inline constexpr std::array<double, kMostDigits + 1> kPowersOfTen{
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

/// `value` times 10^digits, rounded; arbitrary when that is beyond 2^51.
inline double ScaledUp(double value, int digits) {
  // Adding this leaves no bits for a fraction.
  constexpr double kRound = 0x1.8p52;
  return value * kPowersOfTen[static_cast<std::size_t>(digits)] + kRound -
         kRound;
}

/// The integer that stands for `value`; none when the value would not come back
/// bit by bit.
inline std::optional<std::int64_t> ToDecimal(double value, int digits) {
  const double scaled = ScaledUp(value, digits);
  if (!(std::abs(scaled) < 0x1p51)) return std::nullopt;  // NaN too.
  const double back = scaled / kPowersOfTen[static_cast<std::size_t>(digits)];
  if (std::bit_cast<std::uint64_t>(back) !=
      std::bit_cast<std::uint64_t>(value)) {
    return std::nullopt;
  }
  return static_cast<std::int64_t>(scaled);
}

inline int BitWidth(std::uint64_t number) {
  return 64 - std::countl_zero(number);
}

/// The parameter of Rice codes: so many low bits are written as they are.
struct RiceParameter {
  static constexpr int kFirst = 4;
  // As many ones lead to a number of any size instead, whose bits are counted.
  static constexpr std::uint64_t kEscape = 8;
  static constexpr int kLengthBits = 6;

  std::uint8_t bits = kFirst;

  /// Adapts to a number that was written.
  void Follow(std::uint64_t number) {
    const std::uint64_t high = number >> bits;
    if (high >= kEscape) {
      bits = static_cast<std::uint8_t>(std::max(0, BitWidth(number) - 2));
    } else if (high >= 2) {
      ++bits;
    } else if (bits > 0 && number < std::uint64_t{1} << (bits - 1)) {
      --bits;
    }
  }
};

inline std::uint64_t ZigZag(std::int64_t number) {
  return static_cast<std::uint64_t>(number) << 1 ^
         (number < 0 ? ~std::uint64_t{0} : 0);
}
inline std::int64_t UnZigZag(std::uint64_t number) {
  return static_cast<std::int64_t>(number >> 1 ^ (0 - (number & 1)));
}

/// The code of a difference of less than 2^40, to which the parameter adapts.
inline BitCode DecimalCode(std::int64_t difference, RiceParameter* rice) {
  const std::uint64_t number = ZigZag(difference);
  const int bits = rice->bits;
  const std::uint64_t high = number >> bits;
  rice->Follow(number);
  if (high < RiceParameter::kEscape) [[likely]] {
    // That many ones and a zero.
    const auto ones = static_cast<int>(high);
    return {(std::uint64_t{2} << ones) - 2, ones + 1,
            number & ((std::uint64_t{1} << bits) - 1), bits};
  }
  constexpr int kEscape = static_cast<int>(RiceParameter::kEscape);
  const int width = BitWidth(number);
  return {((std::uint64_t{1} << kEscape) - 1) << RiceParameter::kLengthBits |
              static_cast<std::uint64_t>(width),
          kEscape + RiceParameter::kLengthBits, number, width};
}

/// What is known of the values at their end, from where they are decoded.
struct DecimalEnd {
  double last = 0;
  std::int64_t delta = 0;  ///< Between the last two.
  int digits = 0;
};

/// Writes the `count` values, of which the bits hold all differences between
/// their deltas, to `out`.
void DecodeDecimals(const BitReader& bits, std::size_t count,
                    const DecimalEnd& end, double* out);

}  // namespace narthex::tsdb
