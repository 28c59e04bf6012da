#include "libs/base/quote.h"

#include <catch2/catch.hpp>

namespace narthex::base {

TEST_CASE("text quotes as Go quotes it and unquotes back") {
  const auto [text, quoted] = GENERATE(table<std::string, const char*>({
      {"", R"("")"},
      {"a\"b\\c", R"("a\"b\\c")"},
      {"line\nend\t\x01", R"("line\nend\t\x01")"},
      {"bad\xff", R"("bad\xff")"},
      {"grüße", R"("grüße")"},
  }));
  CHECK(Quote(text) == quoted);
  CHECK(Unquote(quoted).value() == text);
}

TEST_CASE("the three kinds of quotes are read") {
  CHECK(Unquote("`a\\n`").value() == "a\\n");
  CHECK(Unquote(R"('it\'s\x41\u00e9\101')").value() == "it'sAéA");
  for (const char* bad : {"", "\"", "\"a", "'a\"", R"("\'")", R"("\8")",
                          R"("\xg0")", "\"a\"b\"", R"("\ud800")"}) {
    INFO(bad);
    CHECK_FALSE(Unquote(bad).ok());
  }
}

TEST_CASE("UTF-8 is checked strictly") {
  CHECK(IsValidUtf8("aé€😀"));
  CHECK_FALSE(IsValidUtf8("\xc0\x80"));
  CHECK_FALSE(IsValidUtf8("\xed\xa0\x80"));
  CHECK_FALSE(IsValidUtf8("\xe2\x82"));
}

}  // namespace narthex::base
