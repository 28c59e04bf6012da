#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "absl/strings/string_view.h"

/// The bit streams of chunks: every field takes as many bits as it needs, the
/// first bit of a byte being its highest.
namespace narthex::tsdb {

/// Reads bits at any position; past the end there are zeros, so that only the
/// final position needs a check.
class BitReader {
 public:
  explicit BitReader(absl::string_view data)
      : data_(data.data()), size_(data.size()) {}

  /// The bits from `position` on, the first on top; at least 57 are valid.
  std::uint64_t Peek(std::size_t position) const {
    const std::size_t byte = position >> 3;
    if (byte + 8 <= size_) [[likely]] {
      return LoadBe64(data_ + byte) << (position & 7);
    }
    return PeekTail(byte) << (position & 7);
  }

  /// The `n` (1 to 64) bits from `position` on.
  std::uint64_t Read(std::size_t position, int n) const {
    if (n <= 57) [[likely]] {
      return Peek(position) >> (64 - n);
    }
    const std::uint64_t high = Peek(position) >> 32;
    const int low_bits = n - 32;
    return high << low_bits | Peek(position + 32) >> (64 - low_bits);
  }

  std::size_t size_bits() const { return size_ * 8; }

 private:
  static std::uint64_t LoadBe64(const char* bytes) {
    std::uint64_t word;
    std::memcpy(&word, bytes, sizeof(word));
    return __builtin_bswap64(word);
  }

  std::uint64_t PeekTail(std::size_t byte) const {
    char tail[8] = {};
    if (byte < size_) std::memcpy(tail, data_ + byte, size_ - byte);
    return LoadBe64(tail);
  }

  const char* data_;
  std::size_t size_;
};

/// A float of which each value is stored as its difference (XOR) to the one
/// before, in a window of bits that is kept while it suffices.
struct XorValue {
  static constexpr std::uint8_t kNoWindow = 0xff;

  double value() const { return std::bit_cast<double>(bits); }
  void set_value(double to) { bits = std::bit_cast<std::uint64_t>(to); }

  std::uint64_t bits = 0;
  std::uint8_t leading = kNoWindow;  ///< Zero bits above the window.
  std::uint8_t trailing = 0;         ///< Zero bits below it.
};

/// Reads fields one after the other. After a read past the end, or a field
/// that cannot be, ok() is false and what was read is arbitrary; so a decoder
/// may check at the end, but must bound the counts it reads by remaining().
class BitCursor {
 public:
  explicit BitCursor(absl::string_view data) : reader_(data) {}

  /// The next `n` (1 to 64) bits.
  std::uint64_t Bits(int n) {
    const std::uint64_t bits = reader_.Read(position_, n);
    position_ += static_cast<std::size_t>(n);
    return bits;
  }
  bool Bit() { return Bits(1) != 0; }
  double Float() { return std::bit_cast<double>(Bits(64)); }
  /// Whole bytes of 7 bits each, at any bit position.
  std::uint64_t Uvarint();
  std::int64_t Varint();
  /// 1, 5, 9, 13, 17, 24, 32, 64 or 72 bits.
  std::uint64_t VarbitUint();
  std::int64_t VarbitInt();
  /// The next value of `*value`.
  void Xor(XorValue* value);
  /// The new window of `*value` and its difference in it.
  void XorWindow(XorValue* value);
  /// The difference of `*value` in its present window.
  void XorInWindow(XorValue* value);

  bool ok() const { return valid_ && position_ <= reader_.size_bits(); }
  /// Bits that are left.
  std::size_t remaining() const {
    return ok() ? reader_.size_bits() - position_ : 0;
  }
  std::size_t position() const { return position_; }

 private:
  BitReader reader_;
  std::size_t position_ = 0;
  bool valid_ = true;
};

/// Appends fields to a byte string; the unused bits of its last byte are 0.
class BitWriter {
 public:
  BitWriter() = default;
  /// Goes on after the first `position` bits of `bytes`.
  BitWriter(absl::string_view bytes, std::size_t position);

  /// The low `n` (1 to 64) bits.
  void Bits(std::uint64_t bits, int n);
  void Float(double value) { Bits(std::bit_cast<std::uint64_t>(value), 64); }
  void VarbitUint(std::uint64_t value);
  void VarbitInt(std::int64_t value);
  /// The difference of `next` to `*value`, which becomes `next`.
  void Xor(double next, XorValue* value);

  absl::string_view bytes() const { return bytes_; }
  std::size_t allocated_bytes() const { return bytes_.capacity(); }
  /// Overwrites a byte that is written.
  void SetByte(std::size_t at, std::uint8_t byte) {
    bytes_[at] = static_cast<char>(byte);
  }
  void ShrinkToFit() { bytes_.shrink_to_fit(); }

 private:
  std::string bytes_;
  int free_bits_ = 0;  // Still unused in the last byte.
};

}  // namespace narthex::tsdb
