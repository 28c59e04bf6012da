#include "libs/tsdb/xor_values.h"

#include <algorithm>
#include <bit>
#include <cstdint>

#include "libs/tsdb/bit_code.h"

namespace narthex::tsdb {

void DecodeXorValues(const BitReader& bits, std::size_t count, double last,
                     double* out) {
  XorWindow window;
  std::size_t position = 0;
  std::uint64_t changed = 0;  // Since the first.
  out[0] = std::bit_cast<double>(changed);
  for (std::size_t i = 1; i < count;) {
    const std::uint64_t word = bits.Peek(position);
    if ((word >> 63) == 0) {
      // Every zero bit is a value like the one before.
      const auto zeros = static_cast<std::size_t>(std::countl_zero(word | 128));
      const std::size_t n = std::min(zeros, count - i);
      std::fill_n(out + i, n, std::bit_cast<double>(changed));
      position += n;
      i += n;
      continue;
    }
    if ((word >> 62) == 0b10) {
      position += 2;
    } else {
      const int leading = static_cast<int>(word << 2 >> 59);
      int meaningful = static_cast<int>(word << 7 >> 58);
      if (meaningful == 0) meaningful = 64;
      window = {static_cast<std::uint8_t>(leading),
                static_cast<std::uint8_t>(64 - leading - meaningful)};
      position += 13;
    }
    changed ^= bits.Read(position, window.size()) << window.trailing;
    position += static_cast<std::size_t>(window.size());
    out[i++] = std::bit_cast<double>(changed);
  }
  const std::uint64_t first = std::bit_cast<std::uint64_t>(last) ^ changed;
  for (std::size_t i = 0; i < count; ++i) {
    out[i] =
        std::bit_cast<double>(std::bit_cast<std::uint64_t>(out[i]) ^ first);
  }
}

}  // namespace narthex::tsdb
