#include "libs/base/hash.h"

#include <catch2/catch.hpp>

namespace narthex::base {

TEST_CASE("hashes equal the published vectors") {
  CHECK(XxHash64("") == 0xEF46DB3751D8E999ULL);
  CHECK(XxHash64("a") == 0xD24EC4F1A98C6E5BULL);
  CHECK(Fnv1a64("") == 0xcbf29ce484222325ULL);
  CHECK(Fnv1a64("a") == 0xaf63dc4c8601ec8cULL);
  CHECK(Fnv1a64("b", Fnv1a64("a")) == Fnv1a64("ab"));
  CHECK(XxHash128("a") == XxHash128("a"));
  CHECK_FALSE(XxHash128("a") == XxHash128("b"));
}

}  // namespace narthex::base
