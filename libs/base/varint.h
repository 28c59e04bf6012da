#pragma once

#include <bit>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace narthex::base {

/// Appends `value` as an unsigned LEB128 varint, 1 to 10 bytes.
void PutUvarint(std::uint64_t value, std::string* out);
/// Appends `value` as a zigzag varint.
void PutVarint(std::int64_t value, std::string* out);
/// The bytes that PutUvarint would append.
constexpr int UvarintSize(std::uint64_t value) {
  return (64 - std::countl_zero(value | 1) + 6) / 7;
}
/// The most bytes of a varint.
constexpr std::size_t kMostVarintBytes = 10;
/// Writes `value` as a zigzag varint to `out`, where there is room for
/// kMostVarintBytes. Returns the end.
inline char* WriteVarint(std::int64_t value, char* out) {
  auto bits = (static_cast<std::uint64_t>(value) << 1) ^
              (value < 0 ? ~std::uint64_t{0} : 0);
  while (bits >= 0x80) {
    *out++ = static_cast<char>(bits | 0x80);
    bits >>= 7;
  }
  *out++ = static_cast<char>(bits);
  return out;
}
/// Reads a zigzag varint that lies in [*at, end). False when it does not.
inline bool ReadVarint(const char** at, const char* end, std::int64_t* value) {
  std::uint64_t bits = 0;
  for (int shift = 0; *at < end && shift < 64; shift += 7) {
    const auto byte = static_cast<std::uint8_t>(*(*at)++);
    bits |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      *value = static_cast<std::int64_t>((bits >> 1) ^ (0 - (bits & 1)));
      return true;
    }
  }
  return false;
}
/// Append in big-endian order, as Prometheus's files are.
void PutBe16(std::uint16_t value, std::string* out);
void PutBe32(std::uint32_t value, std::string* out);
void PutBe64(std::uint64_t value, std::string* out);

/// Reads a byte string from front to back. After a read past the end, or a
/// malformed varint, ok() is false and every further read gives zero or
/// empty, so a decoder may check once at the end.
class ByteReader {
 public:
  explicit ByteReader(absl::string_view data) : data_(data) {}

  std::uint8_t Byte();
  std::uint16_t Be16();
  std::uint32_t Be32();
  std::uint64_t Be64();
  std::uint64_t Uvarint();
  std::int64_t Varint();
  /// The next `n` bytes, a view into the data given.
  absl::string_view Bytes(std::size_t n);
  /// A uvarint length and that many bytes.
  absl::string_view UvarintBytes();

  bool ok() const { return ok_; }
  std::size_t remaining() const { return data_.size(); }
  absl::string_view rest() const { return data_; }

 private:
  void Fail();

  absl::string_view data_;
  bool ok_ = true;
};

}  // namespace narthex::base
