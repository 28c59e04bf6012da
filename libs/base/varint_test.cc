#include "libs/base/varint.h"

#include <catch2/catch.hpp>
#include <limits>

namespace narthex::base {

TEST_CASE("numbers round trip through varints and big-endian bytes") {
  const std::int64_t value =
      GENERATE(std::int64_t{0}, std::int64_t{1}, std::int64_t{-1},
               std::int64_t{127}, std::int64_t{128}, std::int64_t{-300},
               std::int64_t{1} << 40, std::numeric_limits<std::int64_t>::max(),
               std::numeric_limits<std::int64_t>::min());
  const auto bits = static_cast<std::uint64_t>(value);
  std::string bytes;
  PutVarint(value, &bytes);
  PutUvarint(bits, &bytes);
  PutBe64(bits, &bytes);
  PutBe32(static_cast<std::uint32_t>(bits), &bytes);
  PutBe16(static_cast<std::uint16_t>(bits), &bytes);
  ByteReader reader(bytes);
  CHECK(reader.Varint() == value);
  CHECK(reader.Uvarint() == bits);
  CHECK(reader.Be64() == bits);
  CHECK(reader.Be32() == static_cast<std::uint32_t>(bits));
  CHECK(reader.Be16() == static_cast<std::uint16_t>(bits));
  CHECK(reader.ok());
  CHECK(reader.remaining() == 0);
}

TEST_CASE("a reader past the end stays failed and gives zeroes") {
  ByteReader reader("\x81");
  CHECK(reader.Uvarint() == 0);
  CHECK_FALSE(reader.ok());
  CHECK(reader.Byte() == 0);
  const std::string eleven(11, '\xff');
  ByteReader too_long(eleven);
  too_long.Uvarint();
  CHECK_FALSE(too_long.ok());
  ByteReader short_bytes(
      "\x05"
      "abc");
  CHECK(short_bytes.UvarintBytes().empty());
  CHECK_FALSE(short_bytes.ok());
}

}  // namespace narthex::base
