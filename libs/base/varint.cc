#include "libs/base/varint.h"

#include <bit>
#include <cstring>

namespace narthex::base {
namespace {

template <typename T>
T ToBigEndian(T value) {
  if constexpr (std::endian::native == std::endian::big) return value;
  if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
}

template <typename T>
void PutBigEndian(T value, std::string* out) {
  const T swapped = ToBigEndian(value);
  char bytes[sizeof(T)];
  std::memcpy(bytes, &swapped, sizeof(T));
  out->append(bytes, sizeof(T));
}

template <typename T>
T GetBigEndian(absl::string_view bytes) {
  if (bytes.size() < sizeof(T)) return 0;
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return ToBigEndian(value);
}

}  // namespace

void PutUvarint(std::uint64_t value, std::string* out) {
  while (value >= 0x80) {
    out->push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out->push_back(static_cast<char>(value));
}

void PutVarint(std::int64_t value, std::string* out) {
  const auto bits = static_cast<std::uint64_t>(value);
  PutUvarint((bits << 1) ^ (value < 0 ? ~std::uint64_t{0} : 0), out);
}

void PutBe16(std::uint16_t value, std::string* out) {
  PutBigEndian(value, out);
}
void PutBe32(std::uint32_t value, std::string* out) {
  PutBigEndian(value, out);
}
void PutBe64(std::uint64_t value, std::string* out) {
  PutBigEndian(value, out);
}

void ByteReader::Fail() {
  ok_ = false;
  data_ = {};
}

absl::string_view ByteReader::Bytes(std::size_t n) {
  if (n > data_.size()) {
    Fail();
    return {};
  }
  const absl::string_view bytes = data_.substr(0, n);
  data_.remove_prefix(n);
  return bytes;
}

absl::string_view ByteReader::UvarintBytes() {
  const std::uint64_t n = Uvarint();
  if (n > data_.size()) {
    Fail();
    return {};
  }
  return Bytes(static_cast<std::size_t>(n));
}

std::uint8_t ByteReader::Byte() {
  const absl::string_view bytes = Bytes(1);
  return bytes.empty() ? 0 : static_cast<std::uint8_t>(bytes[0]);
}

std::uint16_t ByteReader::Be16() {
  return GetBigEndian<std::uint16_t>(Bytes(2));
}
std::uint32_t ByteReader::Be32() {
  return GetBigEndian<std::uint32_t>(Bytes(4));
}
std::uint64_t ByteReader::Be64() {
  return GetBigEndian<std::uint64_t>(Bytes(8));
}

std::uint64_t ByteReader::Uvarint() {
  std::uint64_t value = 0;
  std::size_t i = 0;
  for (int shift = 0; i < data_.size() && shift < 70; ++i, shift += 7) {
    const auto byte = static_cast<std::uint8_t>(data_[i]);
    // The tenth byte holds one bit; more would not fit into 64.
    if (shift == 63 && byte > 1) break;
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      data_.remove_prefix(i + 1);
      return value;
    }
  }
  Fail();
  return 0;
}

std::int64_t ByteReader::Varint() {
  const std::uint64_t bits = Uvarint();
  return static_cast<std::int64_t>((bits >> 1) ^ (0 - (bits & 1)));
}

}  // namespace narthex::base
