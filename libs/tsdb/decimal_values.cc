#include "libs/tsdb/decimal_values.h"

#include <algorithm>

namespace narthex::tsdb {
namespace {

// Integers that lie where the values will: a vector less.
std::int64_t At(const double* out, std::size_t i) {
  return std::bit_cast<std::int64_t>(out[i]);
}
void Set(double* out, std::size_t i, std::int64_t number) {
  out[i] = std::bit_cast<double>(number);
}

// Reads `count` differences; returns their sum.
std::int64_t ReadDifferences(const BitReader& bits, std::size_t count,
                             double* out) {
  RiceParameter rice;
  std::size_t position = 0;
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < count;) {
    const std::uint64_t word = bits.Peek(position);
    if (rice.bits == 0 && (word >> 63) == 0) {
      // Every zero bit is a difference of zero.
      const auto zeros = static_cast<std::size_t>(std::countl_zero(word | 128));
      const std::size_t n = std::min(zeros, count - i);
      std::fill_n(out + i, n, std::bit_cast<double>(std::int64_t{0}));
      position += n;
      i += n;
      continue;
    }
    const auto ones = static_cast<std::uint64_t>(std::countl_one(word));
    std::uint64_t number = 0;
    if (ones < RiceParameter::kEscape) {
      const std::uint64_t low =
          rice.bits == 0 ? 0 : word << (ones + 1) >> (64 - rice.bits);
      number = ones << rice.bits | low;
      position += ones + 1 + rice.bits;
    } else {
      const std::uint64_t rest = word << RiceParameter::kEscape;
      const std::uint64_t width = rest >> (64 - RiceParameter::kLengthBits);
      number = rest << RiceParameter::kLengthBits >> (64 - width);
      position += RiceParameter::kEscape + RiceParameter::kLengthBits + width;
    }
    rice.Follow(number);
    const std::int64_t difference = UnZigZag(number);
    Set(out, i++, difference);
    sum += difference;
  }
  return sum;
}

// Turns differences into sums of deltas, of which `delta` is the first.
void SumUp(std::size_t count, std::int64_t delta, double* out) {
  std::int64_t sum = 0;
  Set(out, 0, 0);
  for (std::size_t i = 1; i < count; ++i) {
    if (i > 1) delta += At(out, i);
    sum += delta;
    Set(out, i, sum);
  }
}

}  // namespace

// The first value and the first delta are not written: they follow from the
// last ones, as all that comes between is known.
void DecodeDecimals(const BitReader& bits, std::size_t count,
                    const DecimalEnd& end, double* out) {
  if (count == 0) return;
  const std::int64_t change =
      count > 2 ? ReadDifferences(bits, count - 2, out + 2) : 0;
  SumUp(count, end.delta - change, out);
  const std::int64_t first =
      static_cast<std::int64_t>(ScaledUp(end.last, end.digits)) -
      At(out, count - 1);
  if (end.digits == 0) {
    for (std::size_t i = 0; i < count; ++i) {
      out[i] = static_cast<double>(first + At(out, i));
    }
    return;
  }
  const double power = kPowersOfTen[static_cast<std::size_t>(end.digits)];
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = static_cast<double>(first + At(out, i)) / power;
  }
}

}  // namespace narthex::tsdb
