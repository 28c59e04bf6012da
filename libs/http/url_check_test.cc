#include "libs/http/url_check.h"

#include <catch2/catch.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"

namespace narthex::http {

TEST_CASE("URLs that Go does not parse are refused with its words") {
  for (const char* good :
       {"", "x", "*", "/a", "http://", "http://a", "http://a:", "http://a:80/b",
        "http://u:p@a", "http://u%20:p@a/", "http://[::1]:1/",
        "http://[fe80::1%25en0]/", "mailto:%zz", "http://a/?x=%zz",
        "http://\u00e9/", "http://%C3%A9/", "///a", "./a:b", "unix:///run/a"}) {
    INFO(good);
    CHECK(CheckUrl(good) == absl::OkStatus());
  }
  const std::pair<const char*, const char*> rows[] = {
      {"://", "missing protocol scheme"},
      {"http://[::1", "missing ']' in host"},
      {"http://x:port", "invalid port \":port\" after host"},
      {"http://[::1]x", "invalid port \"x\" after host"},
      {"http://a:b@x/%zz", "invalid URL escape \"%zz\""},
      {"http://x/%a", "invalid URL escape \"%a\""},
      {"http://x/#%", "invalid URL escape \"%\""},
      {"http://%41/", "invalid URL escape \"%41\""},
      {"http://a b/", "invalid character \" \" in host name"},
      {"http://a{b@x/", "net/url: invalid userinfo"},
      {"http://u%zz@x/", "invalid URL escape \"%zz\""},
      {" http://x", "first path segment in URL cannot contain colon"},
      {"http://x\n", "net/url: invalid control character in URL"},
  };
  for (const auto& [url, reason] : rows) {
    INFO(url);
    CHECK(CheckUrl(url).message() ==
          absl::StrCat("parse ", base::Quote(url), ": ", reason));
  }
}

}  // namespace narthex::http
