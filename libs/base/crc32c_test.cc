#include "libs/base/crc32c.h"

#include <catch2/catch.hpp>
#include <string>

namespace narthex::base {

TEST_CASE("CRC32C equals the vectors of RFC 3720") {
  CHECK(Crc32c("123456789") == 0xe3069283U);
  CHECK(Crc32c(std::string(32, '\0')) == 0x8a9136aaU);
  CHECK(Crc32c("56789", Crc32c("1234")) == 0xe3069283U);
}

}  // namespace narthex::base
