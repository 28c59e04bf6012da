#include "libs/base/utf8.h"

#include <catch2/catch.hpp>

#include "libs/base/html.h"

namespace narthex::base {
namespace {

TEST_CASE("code points become UTF-8, and what is none a replacement") {
  const auto encoded = [](std::uint32_t code_point) {
    std::string out = "<";
    AppendUtf8(code_point, &out);
    return out;
  };
  CHECK(encoded('a') == "<a");
  CHECK(encoded(0x7f) == "<\x7f");
  CHECK(encoded(0x80) == "<\u0080");
  CHECK(encoded(0x7ff) == "<\u07ff");
  CHECK(encoded(0x800) == "<\u0800");
  CHECK(encoded(0xffff) == "<\uffff");
  CHECK(encoded(0x1f600) == "<\U0001f600");
  CHECK(encoded(0x10ffff) == "<\U0010ffff");
  for (const std::uint32_t bad : {0xd800u, 0xdfffu, 0x110000u, 0xffffffffu}) {
    CHECK(encoded(bad) == "<\ufffd");
  }
}

TEST_CASE("what means something in HTML is escaped") {
  CHECK(EscapeHtml("a<b>&\"'") == "a&lt;b&gt;&amp;&#34;&#39;");
  CHECK(EscapeHtml(absl::string_view("\0x", 2)) == "\ufffdx");
}

}  // namespace
}  // namespace narthex::base
