#include "libs/http/url.h"

#include <catch2/catch.hpp>

namespace narthex::http {

TEST_CASE("a URL's host and port are found, an IPv6 address too") {
  struct Row {
    const char* url;
    const char* host_port;
    const char* host;
    int port;
  };
  const Row rows[] = {
      {"http://A.b/c", "A.b", "a.b", 80},
      {"https://a.b?c=http://d", "a.b", "a.b", 443},
      {"http://u:p@a:81#x", "a:81", "a", 81},
      {"http://[2001:DB8::1]/x:9", "[2001:DB8::1]", "2001:db8::1", 80},
      {"https://[::1]:8443/", "[::1]:8443", "::1", 8443},
      {"socks5://a", "a", "a", 0},
  };
  for (const Row& row : rows) {
    INFO(row.url);
    CHECK(UrlHostPort(row.url) == row.host_port);
    CHECK(UrlHost(row.url) == row.host);
    CHECK(UrlPort(row.url) == row.port);
  }
}

TEST_CASE("a URL is shown without its password") {
  CHECK(RedactUrl("http://u:p@a/b") == "http://u:xxxxx@a/b");
  CHECK(RedactUrl("http://u@a/b:c") == "http://u@a/b:c");
  CHECK(RedactUrl("http://a:1/b@c") == "http://a:1/b@c");
}

}  // namespace narthex::http
