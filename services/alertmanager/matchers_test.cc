#include "services/alertmanager/matchers.h"

#include <catch2/catch.hpp>

namespace narthex::alertmanager {
namespace {

struct Row {
  const char* text;
  MatcherSyntax syntax;
  /// As printed; empty: refused.
  const char* printed;
};

TEST_CASE("matchers are read in both notations") {
  using enum MatcherSyntax;
  const Row rows[] = {
      {R"(a=b)", kUtf8, R"({a="b"})"},
      {R"({a="b",c=~"d.*",})", kUtf8, R"({a="b",c=~"d.*"})"},
      {R"( { a != "b" , c !~ d } )", kUtf8, R"({a!="b",c!~"d"})"},
      {R"({})", kUtf8, "{}"},
      {R"("a b"="c")", kUtf8, R"({"a b"="c"})"},
      {"\u00e9=x", kUtf8, "{\u00e9=\"x\"}"},
      {R"(a="\"x\"")", kUtf8, R"({a="\"x\""})"},
      {R"({a=b)", kUtf8, ""},
      {R"(a=b})", kUtf8, ""},
      {R"(a=b c=d)", kUtf8, ""},
      {R"(a)", kUtf8, ""},
      {R"(a="b)", kUtf8, ""},
      {R"(,a=b)", kUtf8, ""},
      {R"(a==b)", kUtf8, ""},
      {R"(a==b)", kClassic, R"({a="=b"})"},
      {R"(a==b)", kFallback, R"({a="=b"})"},
      {R"(a=b c)", kClassic, R"({a="b c"})"},
      {R"(a=)", kClassic, R"({a=""})"},
      {R"({a="b, c",d=e})", kClassic, R"({a="b, c",d="e"})"},
      {R"(a="x"y")", kClassic, ""},
      {"\u00e9=x", kClassic, ""},
      {"\u00e9=x", kFallback, "{\u00e9=\"x\"}"},
      {R"(a=~"(")", kFallback, ""},
      {R"(a="b\nc")", kFallback, R"({a="b\nc"})"},
  };
  for (const Row& row : rows) {
    INFO(row.text << " in syntax " << static_cast<int>(row.syntax));
    const auto matchers = ParseMatchers(row.text, row.syntax);
    CHECK((matchers.ok() ? FormatMatchers(*matchers) : "") == row.printed);
  }
}

TEST_CASE("one matcher is one matcher") {
  CHECK(ParseMatcher("a=b", MatcherSyntax::kFallback).ok());
  CHECK_FALSE(ParseMatcher("a=b,c=d", MatcherSyntax::kFallback).ok());
  CHECK_FALSE(ParseMatcher("", MatcherSyntax::kFallback).ok());
}

TEST_CASE("matchers sort by name, then value") {
  auto matchers =
      ParseMatchers(R"({b="1",a="2",a!="1"})", MatcherSyntax::kUtf8);
  REQUIRE(matchers.ok());
  SortMatchers(&*matchers);
  CHECK(FormatMatchers(*matchers) == R"({a!="1",a="2",b="1"})");
}

}  // namespace
}  // namespace narthex::alertmanager
