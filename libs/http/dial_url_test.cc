#include "libs/http/dial_url.h"

#include <catch2/catch.hpp>

namespace narthex::http {

TEST_CASE("URLs without a port or a host lead to one all the same") {
  const struct {
    const char* url;
    const char* plain;
    const char* local;
    const char* address;
  } kRows[] = {
      {"http://a/m?x=b:#c:", "http://a/m?x=b:#c:", "http://a/m?x=b:#c:",
       "a:80"},
      {"https://a:/m", "https://a/m", "https://a:/m", "a:443"},
      {"http://:21/m", "http://:21/m", "http://localhost:21/m", ":21"},
      {"http://:21", "http://:21", "http://localhost:21", ":21"},
      {"http://[::1]:", "http://[::1]", "http://[::1]:", "[::1]:80"},
      {"http://:/m", "http:///m", "http://:/m", ":80"},
      {"http://u:p@a:080/m", "http://u:p@a:080/m", "http://u:p@a:080/m",
       "a:80"},
  };
  for (const auto& row : kRows) {
    INFO(row.url);
    CHECK(WithoutEmptyPort(row.url) == row.plain);
    CHECK(WithLocalHost(row.url) == row.local);
    CHECK(DialAddress(row.url) == row.address);
  }
}

}  // namespace narthex::http
