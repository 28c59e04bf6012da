#include "libs/model/matcher.h"

#include <re2/re2.h>

#include <catch2/catch.hpp>

namespace narthex::model {

TEST_CASE("every shape of expression agrees with the plain engine") {
  const std::vector<std::string> patterns = {
      "",      ".*",        ".+",      "abc",     "a|b|",  "(a|bc)",
      "a.*",   "ab.+",      ".*bc",    ".+c",     ".*b.*", ".+b.*",
      "a\\.b", "ab?c",      "é*a",     "a{2}",    "[ab]c", "(?i)AbC",
      "a.c",   "^abc$",     "(a)|(b)", "a|b.*",   "x*",    "(?:a|b)",
      "a\\|b", "abc|abd.?", ".*|a",    "a.*b.*c", "\\d+",  "a(b|c)"};
  const std::vector<std::string> texts = {
      "",    "a",   "b",    "c",  "ab", "bc",  "abc", "abcd",
      "xbc", "a.b", "a\nc", "aa", "é",  "ééa", "ABC", "ac",
      "a|b", "abd", "bbb",  "12", "xx", "a\n", "\n"};
  for (const std::string& pattern : patterns) {
    const AnchoredRegex regex = AnchoredRegex::Create(pattern).value();
    re2::RE2::Options options;
    options.set_dot_nl(true);
    const re2::RE2 plain(pattern, options);
    for (const std::string& text : texts) {
      INFO("pattern " << pattern << " text " << text);
      CHECK(regex.Matches(text) == re2::RE2::FullMatch(text, plain));
    }
  }
}

TEST_CASE("malformed expressions are refused") {
  for (const char* pattern : {"(", "a)(b", "[", "*a", "a{2,1}"}) {
    INFO(pattern);
    CHECK_FALSE(AnchoredRegex::Create(pattern).ok());
  }
}

TEST_CASE("replacements expand numbered and named groups as Go does") {
  const auto regex = AnchoredRegex::Create("(?P<first>[a-z]+)-(\\d+)").value();
  std::string out;
  REQUIRE(regex.Expand("ab-12", "$2:${first}:$first1:$9:$$:$", &out));
  CHECK(out == "12:ab:::$:$");
  CHECK_FALSE(regex.Expand("nothing", "$1", &out));
}

TEST_CASE("groups are named in either of Go's spellings") {
  for (const char* pattern : {"a(?P<x>.)", "a(?<x>.)"}) {
    std::string out;
    CHECK(AnchoredRegex::Create(pattern).value().Expand("ab", "${x}", &out));
    CHECK(out == "b");
  }
  CHECK(AnchoredRegex::Create("[(?<]+").value().Matches("(?<"));
  CHECK_FALSE(AnchoredRegex::Create("(?<=a)b").ok());
}

TEST_CASE("matchers treat an absent label as empty") {
  const Labels labels{{"a", "1"}};
  const auto make = [](MatchType type, const char* name, const char* value) {
    return Matcher::Create(type, name, value).value();
  };
  CHECK(MatchesAll(
      {make(MatchType::kEqual, "a", "1"), make(MatchType::kNotEqual, "b", "x"),
       make(MatchType::kRegex, "b", ".*"),
       make(MatchType::kNotRegex, "a", "2|3")},
      labels));
  CHECK_FALSE(MatchesAll({make(MatchType::kRegex, "b", ".+")}, labels));
  CHECK(make(MatchType::kEqual, "b", "").MatchesEmpty());
  CHECK(make(MatchType::kNotRegex, "a.b", "x\"").ToString() ==
        R"("a.b"!~"x\"")");
}

}  // namespace narthex::model
