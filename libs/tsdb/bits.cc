#include "libs/tsdb/bits.h"

#include <algorithm>

namespace narthex::tsdb {
namespace {

/// Sizes of a varbit number after 0 to 8 leading ones in its prefix.
constexpr int kVarbitBits[] = {0, 3, 6, 9, 12, 18, 25, 56, 64};
constexpr int kMostOnes = 8;

/// Whether a signed number fits into `n` bits; the format's ranges are uneven:
/// the top value is positive.
bool FitsSigned(std::int64_t value, int n) {
  const std::int64_t half = std::int64_t{1} << (n - 1);
  return -(half - 1) <= value && value <= half;
}

/// Writes the prefix of `ones` ones, closed by a zero unless there are
/// kMostOnes, and the number's low bits.
void PutVarbit(std::uint64_t value, int ones, BitWriter* out) {
  if (ones == kMostOnes) {
    out->Bits(0xff, 8);
    out->Bits(value, 64);
    return;
  }
  const int n = kVarbitBits[ones];
  const std::uint64_t prefix = (std::uint64_t{2} << ones) - 2;
  const std::uint64_t low = (std::uint64_t{1} << n) - 1;
  out->Bits(prefix << n | (value & low), ones + 1 + n);
}

}  // namespace

std::uint64_t BitCursor::Uvarint() {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    const std::uint64_t byte = Bits(8);
    if (shift == 63 && byte > 1) break;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  valid_ = false;
  return 0;
}

std::int64_t BitCursor::Varint() {
  const std::uint64_t bits = Uvarint();
  return static_cast<std::int64_t>((bits >> 1) ^ (0 - (bits & 1)));
}

std::uint64_t BitCursor::VarbitUint() {
  const int ones =
      std::min(std::countl_one(reader_.Peek(position_)), kMostOnes);
  position_ += static_cast<std::size_t>(std::min(ones + 1, kMostOnes));
  return ones == 0 ? 0 : Bits(kVarbitBits[ones]);
}

std::int64_t BitCursor::VarbitInt() {
  const int ones =
      std::min(std::countl_one(reader_.Peek(position_)), kMostOnes);
  position_ += static_cast<std::size_t>(std::min(ones + 1, kMostOnes));
  if (ones == 0) return 0;
  const int n = kVarbitBits[ones];
  std::uint64_t bits = Bits(n);
  if (n < 64 && bits > (std::uint64_t{1} << (n - 1))) {
    bits -= std::uint64_t{1} << n;
  }
  return static_cast<std::int64_t>(bits);
}

void BitCursor::Xor(XorValue* value) {
  if (!Bit()) return;
  if (Bit()) {
    XorWindow(value);
  } else {
    XorInWindow(value);
  }
}

void BitCursor::XorWindow(XorValue* value) {
  const int leading = static_cast<int>(Bits(5));
  int meaningful = static_cast<int>(Bits(6));
  if (meaningful == 0) meaningful = 64;
  if (leading + meaningful > 64) {
    valid_ = false;
    return;
  }
  value->leading = static_cast<std::uint8_t>(leading);
  value->trailing = static_cast<std::uint8_t>(64 - leading - meaningful);
  XorInWindow(value);
}

void BitCursor::XorInWindow(XorValue* value) {
  if (value->leading == XorValue::kNoWindow) value->leading = 0;
  value->bits ^= Bits(64 - value->leading - value->trailing) << value->trailing;
}

BitWriter::BitWriter(absl::string_view bytes, std::size_t position)
    : bytes_(bytes.substr(0, (position + 7) / 8)),
      free_bits_(static_cast<int>(bytes_.size() * 8 - position)) {
  if (free_bits_ == 0) return;
  const auto last = static_cast<unsigned char>(bytes_.back());
  bytes_.back() = static_cast<char>(last >> free_bits_ << free_bits_);
}

void BitWriter::Bits(std::uint64_t bits, int n) {
  bits <<= 64 - n;  // The first on top.
  if (free_bits_ > 0) {
    const auto last = static_cast<unsigned char>(bytes_.back());
    bytes_.back() = static_cast<char>(last | bits >> (64 - free_bits_));
    if (n <= free_bits_) {
      free_bits_ -= n;
      return;
    }
    bits <<= free_bits_;
    n -= free_bits_;
  }
  const std::uint64_t swapped = __builtin_bswap64(bits);
  char word[sizeof(swapped)];
  std::memcpy(word, &swapped, sizeof(word));
  bytes_.append(word, static_cast<std::size_t>((n + 7) / 8));
  free_bits_ = -n & 7;
}

void BitWriter::VarbitUint(std::uint64_t value) {
  int ones = 0;
  const int width = 64 - std::countl_zero(value);
  while (ones < kMostOnes && width > kVarbitBits[ones]) ++ones;
  PutVarbit(value, ones, this);
}

void BitWriter::VarbitInt(std::int64_t value) {
  int ones = 0;
  if (value != 0) {
    do {
      ++ones;
    } while (ones < kMostOnes && !FitsSigned(value, kVarbitBits[ones]));
  }
  PutVarbit(static_cast<std::uint64_t>(value), ones, this);
}

void BitWriter::Xor(double next, XorValue* value) {
  const auto bits = std::bit_cast<std::uint64_t>(next);
  const std::uint64_t changed = bits ^ value->bits;
  value->bits = bits;
  if (changed == 0) return Bits(0, 1);
  // Five bits hold the number of leading zeros.
  const int leading = std::min(std::countl_zero(changed), 31);
  const int trailing = std::countr_zero(changed);
  if (value->leading != XorValue::kNoWindow && leading >= value->leading &&
      trailing >= value->trailing) {
    Bits(0b10, 2);
    return Bits(changed >> value->trailing,
                64 - value->leading - value->trailing);
  }
  value->leading = static_cast<std::uint8_t>(leading);
  value->trailing = static_cast<std::uint8_t>(trailing);
  const int meaningful = 64 - leading - trailing;
  Bits(
      static_cast<std::uint64_t>(0b11 << 11 | leading << 6 | (meaningful & 63)),
      13);
  Bits(changed >> trailing, meaningful);
}

}  // namespace narthex::tsdb
