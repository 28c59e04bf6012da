#include "libs/tsdb/value_stream.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <vector>

#include "libs/tsdb/bit_chain.h"
#include "libs/tsdb/bit_code.h"
#include "libs/tsdb/bits.h"
#include "libs/tsdb/decimal_values.h"
#include "libs/tsdb/xor_values.h"

namespace narthex::tsdb {
namespace {

std::uint64_t Changed(double from, double to) {
  return std::bit_cast<std::uint64_t>(from) ^ std::bit_cast<std::uint64_t>(to);
}

}  // namespace

int ValueStream::Append(base::BlockArena& arena, std::size_t count,
                        double value) {
  XorWindow window{static_cast<std::uint8_t>(leading_),
                   static_cast<std::uint8_t>(trailing_)};
  const BitCode change = XorCode(Changed(last(), value), &window);
  if (!Fits(arena, count, value, change)) {
    std::vector<double> values(count + 1);
    Decode(arena, count, values.data());
    values[count] = value;
    Rewrite(arena, values.data(), values.size());
  }
  leading_ = window.leading & 31;
  trailing_ = window.trailing & 63;
  return change.size();
}

// Adds the value if its form can hold it.
bool ValueStream::Fits(base::BlockArena& arena, std::size_t count, double value,
                       const BitCode& change) {
  if (form_ == kXor) {
    AddXor(arena, value, change);
    return true;
  }
  if (stale_ != 0) return false;
  if (form_ == kConstant && Changed(last_, value) == 0) return true;
  if (model::IsStaleNan(value)) {
    stale_ = 1;
    return true;
  }
  return form_ >= kDecimal && AddDecimal(arena, count, value);
}

void ValueStream::AddXor(base::BlockArena& arena, double value,
                         const BitCode& change) {
  Put(arena, change);
  last_ = value;
}

bool ValueStream::AddDecimal(base::BlockArena& arena, std::size_t count,
                             double value) {
  const int digits = static_cast<int>(form_ - kDecimal);
  const std::optional<std::int64_t> number = ToDecimal(value, digits);
  if (!number.has_value()) return false;
  const std::int64_t delta =
      *number - static_cast<std::int64_t>(ScaledUp(last_, digits));
  if (delta != static_cast<std::int32_t>(delta)) return false;
  if (count > 1) {
    RiceParameter rice{static_cast<std::uint8_t>(rice_)};
    Put(arena, DecimalCode(delta - delta_, &rice));
    rice_ = rice.bits & 63;
  }
  delta_ = static_cast<std::int32_t>(delta);
  last_ = value;
  return true;
}

void ValueStream::Put(base::BlockArena& arena, const BitCode& code) {
  BitChain chain(arena, {block_, static_cast<std::uint8_t>(used_),
                         static_cast<std::uint8_t>(free_bits_)});
  PutCode(code,
          [&chain](std::uint64_t bits, int n) { chain.PutBits(bits, n); });
  block_ = chain.end().block;
  used_ = chain.end().used & 31;
  free_bits_ = chain.end().free_bits & 7;
}

// Takes on the form with the fewest digits that holds all values.
void ValueStream::Rewrite(base::BlockArena& arena, const double* values,
                          std::size_t count) {
  const std::uint32_t least = form_ >= kDecimal ? form_ - kDecimal : 0;
  for (std::uint32_t digits = least; digits <= kMostDigits; ++digits) {
    const int n = static_cast<int>(digits);
    // More digits help when it is the values that do not fit.
    if (!ToDecimal(values[0], n).has_value() ||
        !ToDecimal(values[count - 1], n).has_value()) {
      continue;
    }
    if (RewriteAsDecimals(arena, values, count, digits)) return;
    break;
  }
  Restart(arena, kXor, values[0]);
  XorWindow window;
  for (std::size_t i = 1; i < count; ++i) {
    AddXor(arena, values[i], XorCode(Changed(last_, values[i]), &window));
  }
}

bool ValueStream::RewriteAsDecimals(base::BlockArena& arena,
                                    const double* values, std::size_t count,
                                    std::uint32_t digits) {
  Restart(arena, kDecimal + digits, values[0]);
  for (std::size_t i = 1; i < count; ++i) {
    if (!AddDecimal(arena, i, values[i])) return false;
  }
  return true;
}

void ValueStream::Restart(base::BlockArena& arena, std::uint32_t form,
                          double first) {
  FreeChain(arena, block_);
  *this = ValueStream(first);
  form_ = form & 15;
  rice_ = RiceParameter::kFirst;
}

void ValueStream::Decode(const base::BlockArena& arena, std::size_t count,
                         double* out) const {
  if (stale_ != 0) out[--count] = model::StaleNan();
  if (form_ == kConstant) {
    std::fill_n(out, count, last_);
    return;
  }
  const ChainBytes chain(arena, block_, used_);
  const BitReader bits(chain.bytes());
  if (form_ == kXor) {
    DecodeXorValues(bits, count, last_, out);
  } else {
    DecodeDecimals(bits, count,
                   {last_, delta_, static_cast<int>(form_ - kDecimal)}, out);
  }
}

void ValueStream::Clear(base::BlockArena& arena) {
  FreeChain(arena, block_);
  Release();
}

}  // namespace narthex::tsdb
