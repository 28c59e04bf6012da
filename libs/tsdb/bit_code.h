#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "libs/tsdb/bits.h"

namespace narthex::tsdb {

/// One word of a code: a prefix, which says how to read what follows it.
struct BitCode {
  std::uint64_t prefix = 0;
  int prefix_bits = 1;  ///< At most 14.
  std::uint64_t payload = 0;
  int payload_bits = 0;

  int size() const { return prefix_bits + payload_bits; }
};

/// Passes a code to `put(bits, n)`, in one piece where 64 bits hold it.
template <typename Put>
void PutCode(const BitCode& code, const Put& put) {
  if (code.size() <= 64 && code.payload_bits < 64) {
    put(code.prefix << code.payload_bits | code.payload, code.size());
    return;
  }
  put(code.prefix, code.prefix_bits);
  put(code.payload, code.payload_bits);
}

/// Sizes of a delta of deltas after 0 to 4 leading ones in its prefix.
inline constexpr std::array<int, 5> kDodBits{0, 14, 17, 20, 64};

/// How XOR chunks write the difference between two distances in time.
inline BitCode DodCode(std::int64_t dod) {
  if (dod == 0) [[likely]] {
    return {};
  }
  for (int ones = 1; ones <= 3; ++ones) {
    const int n = kDodBits[static_cast<std::size_t>(ones)];
    // The format's ranges are uneven: the top value is positive.
    const std::int64_t half = std::int64_t{1} << (n - 1);
    if (dod <= -half || dod > half) continue;
    const std::uint64_t low = (std::uint64_t{1} << n) - 1;
    return {(std::uint64_t{2} << ones) - 2, ones + 1,
            static_cast<std::uint64_t>(dod) & low, n};
  }
  return {0b1111, 4, static_cast<std::uint64_t>(dod), 64};
}

/// Reads what DodCode wrote at `*position`, which moves on.
inline std::int64_t ReadDod(const BitReader& bits, std::size_t* position) {
  const int ones = std::min(std::countl_one(bits.Peek(*position)), 4);
  *position += static_cast<std::size_t>(ones == 4 ? 4 : ones + 1);
  if (ones == 0) return 0;
  const int n = kDodBits[static_cast<std::size_t>(ones)];
  std::uint64_t dod = bits.Read(*position, n);
  *position += static_cast<std::size_t>(n);
  if (n < 64 && dod > std::uint64_t{1} << (n - 1)) dod -= std::uint64_t{1} << n;
  return static_cast<std::int64_t>(dod);
}

/// The bits of a value that are written while others did not change.
struct XorWindow {
  // Before the first, as no change fits into these.
  std::uint8_t leading = 31;   ///< Bits above it; at most 31.
  std::uint8_t trailing = 63;  ///< Bits below it.

  int size() const { return 64 - leading - trailing; }
};

/// How XOR chunks write which bits of a value have changed: those in the
/// window, or in a new one.
inline BitCode XorCode(std::uint64_t changed, XorWindow* window) {
  if (changed == 0) return {};
  const int leading = std::min(std::countl_zero(changed), 31);
  const int trailing = std::countr_zero(changed);
  if (leading >= window->leading && trailing >= window->trailing) {
    return {0b10, 2, changed >> window->trailing, window->size()};
  }
  *window = {static_cast<std::uint8_t>(leading),
             static_cast<std::uint8_t>(trailing)};
  const auto meaningful = static_cast<std::uint64_t>(window->size());
  return {
      0b11 << 11 | static_cast<std::uint64_t>(leading) << 6 | (meaningful & 63),
      13, changed >> trailing, window->size()};
}

}  // namespace narthex::tsdb
