#include "libs/yaml/node.h"

#include <catch2/catch.hpp>
#include <random>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace narthex::yaml {
namespace {

Document Good(absl::string_view text) {
  auto document = Document::Parse(text, "f.yml");
  INFO(document.status());
  REQUIRE(document.ok());
  return std::move(*document);
}

std::string ErrorOf(absl::string_view text) {
  auto document = Document::Parse(text, "f.yml");
  return document.ok() ? "" : std::string(document.status().message());
}

TEST_CASE("a value knows its line and its path") {
  const Document d = Good("a:\n  - b: 1\n    c: [x, 'y']\n");
  const Node& c = *d.root().Find("a")->items()[0]->Find("c");
  CHECK(c.path() == "a[0].c");
  CHECK(c.line() == 3);
  CHECK(c.items()[1]->path() == "a[0].c[1]");
  CHECK(c.items()[1]->quoted());
  CHECK_FALSE(c.items()[0]->quoted());
  CHECK(c.Error("too bad").message() == "f.yml: line 3: a[0].c: too bad");
}

TEST_CASE("an empty document is null and so are empty values") {
  CHECK(Good("").root().is_null());
  CHECK(Good("# nothing\n").root().is_null());
  const Document d = Good("a:\nb: ~\nc: null\nd: ''\n");
  CHECK(d.root().Find("a")->is_null());
  CHECK(d.root().Find("b")->is_null());
  CHECK(d.root().Find("c")->is_null());
  CHECK(d.root().Find("d")->is_scalar());
}

TEST_CASE("aliases and merge keys are resolved, own keys win") {
  const Document d = Good(
      "base: &base {x: 1, y: [2]}\n"
      "one:\n  <<: *base\n  x: 3\n"
      "two:\n  <<: [*base, {z: 4}]\n"
      "three: *base\n");
  const Node& root = d.root();
  CHECK(root.Find("one")->Find("x")->scalar() == "3");
  CHECK(root.Find("one")->Find("y")->items()[0]->path() == "one.y[0]");
  CHECK(root.Find("two")->Find("z")->scalar() == "4");
  CHECK(root.Find("three")->Find("x")->scalar() == "1");
}

TEST_CASE("errors of the text name file and line") {
  const struct {
    const char* text;
    const char* message;
  } rows[] = {
      {"a: 1\nb: 2\na: 3\n", "f.yml: line 3: key \"a\" already set"},
      {"a: 1\n b: 2\n", "f.yml: line 2: "},
      {"a: [1, 2\n", "f.yml: line "},
      {"a: \xff\n", "f.yml: line 1: invalid UTF-8"},
      {"a: !!binary '?'\n", "f.yml: line 1: !!binary value"},
      {"? [a]\n: 1\n", "f.yml: line 1: a map key must be text"},
      {"a: &x [*x]\n", "f.yml: line 1: "},
      {"<<: 1\n", "f.yml: line 1: map merge requires"},
  };
  for (const auto& row : rows) {
    INFO(row.text);
    CHECK_THAT(ErrorOf(row.text), Catch::StartsWith(row.message));
  }
}

TEST_CASE("deep nesting and multiplying aliases are refused") {
  CHECK_FALSE(ErrorOf(std::string(10000, '[')).empty());
  CHECK_FALSE(ErrorOf(std::string(10000, '{')).empty());
  std::string dashes;
  for (int i = 0; i < 10000; ++i) dashes += "- ";
  CHECK_FALSE(ErrorOf(dashes).empty());
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    absl::StrAppend(&bomb, "a", i, ": &a", i, " [");
    for (int k = 0; k < 10; ++k) {
      absl::StrAppend(&bomb, k == 0 ? "" : ", ", "*a", i - 1);
    }
    bomb += "]\n";
  }
  CHECK_THAT(ErrorOf(bomb), Catch::Contains("too many values"));
}

TEST_CASE("mutilated documents never crash") {
  const std::string seed =
      "global: {a: &x 1, b: *x}\nlist:\n- 'q'\n- \"d\\u0041\"\n- |\n  t\n  u\n"
      "- !!binary aGk=\n- <<: {k: v}\n  ? z\n  : ~\n...\n";
  std::mt19937 random(7);
  int good = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string text = seed;
    for (unsigned k = 0; k < 1 + random() % 4; ++k) {
      const std::size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = static_cast<char>(random() % 128);
          break;
        case 1:
          text.erase(at, random() % 5);
          break;
        default:
          text.insert(at, 1, "[]{}:-&*!|>'\"%@\n #?"[random() % 19]);
      }
    }
    good += Document::Parse(text, "f").ok();
  }
  CHECK(good > 0);
}

}  // namespace
}  // namespace narthex::yaml
