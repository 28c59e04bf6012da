#include "libs/base/url_query.h"

#include <catch2/catch.hpp>

namespace narthex::base {

TEST_CASE("text is escaped for a URL's query as Go does") {
  CHECK(EscapeUrlQuery("rate(up[5m]) > 0") == "rate%28up%5B5m%5D%29+%3E+0");
  CHECK(EscapeUrlQuery("a-b_c.d~e") == "a-b_c.d~e");
  CHECK(EscapeUrlQuery("\xC3\xA4&=+") == "%C3%A4%26%3D%2B");
}

}  // namespace narthex::base
