#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace narthex::base {

/// Appends `value` as an unsigned LEB128 varint, 1 to 10 bytes.
void PutUvarint(std::uint64_t value, std::string* out);
/// Appends `value` as a zigzag varint.
void PutVarint(std::int64_t value, std::string* out);
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
