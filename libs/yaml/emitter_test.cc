#include "libs/yaml/emitter.h"

#include <catch2/catch.hpp>
#include <random>

#include "libs/yaml/node.h"

namespace narthex::yaml {
namespace {

TEST_CASE("maps and lists print in block style, lists at their key's column") {
  Emitter out;
  out.BeginMap();
  out.Key("global").BeginMap();
  out.Key("interval").Duration(60'000);
  out.Key("labels").BeginMap().EndMap();
  out.EndMap();
  out.Key("jobs").BeginSequence();
  out.BeginMap();
  out.Field("name", "a");
  out.Field("on", true);
  out.Field("targets", std::vector<std::string>{"x:1", "y"});
  out.EndMap();
  out.BeginSequence().String("p").String("q").EndSequence();
  out.BeginMap().EndMap();
  out.EndSequence();
  out.Field("none", std::vector<std::string>{});
  out.EndMap();
  CHECK(out.text() ==
        "global:\n"
        "  interval: 1m\n"
        "  labels: {}\n"
        "jobs:\n"
        "- name: a\n"
        "  \"on\": true\n"
        "  targets:\n"
        "  - x:1\n"
        "  - \"y\"\n"
        "- - p\n"
        "  - q\n"
        "- {}\n"
        "none: []\n");
}

std::string Printed(absl::string_view text) {
  Emitter out;
  out.BeginMap();
  out.Field("k", text);
  out.EndMap();
  return out.text().substr(2);
}

TEST_CASE("text is quoted only where it must be") {
  const struct {
    const char* text;
    const char* printed;
  } rows[] = {
      {"plain", " plain\n"},
      {"", " \"\"\n"},
      {"true", " \"true\"\n"},
      {"No", " \"No\"\n"},
      {"12", " \"12\"\n"},
      {"1e3", " \"1e3\"\n"},
      {"1.2.3.4:90", " 1.2.3.4:90\n"},
      {"10:20", " \"10:20\"\n"},
      {"2020-01-02", " \"2020-01-02\"\n"},
      {"<secret>", " <secret>\n"},
      {"$1", " $1\n"},
      {"(.*)", " (.*)\n"},
      {";", " ;\n"},
      {"*", " '*'\n"},
      {"a: b", " 'a: b'\n"},
      {"it's: x", " 'it''s: x'\n"},
      {" lead", " ' lead'\n"},
      {"{x}", " '{x}'\n"},
      {"- x", " '- x'\n"},
      {"-x", " -x\n"},
      {"tab\there", " \"tab\\there\"\n"},
      {"a\nb", " |-\n  a\n  b\n"},
      {"a\nb\n", " |\n  a\n  b\n"},
      {"\xc3\xa9t\xc3\xa9", " \xc3\xa9t\xc3\xa9\n"},
      {"\xf0\x9f\x99\x82", " \"\\U0001F642\"\n"},
      {"\xff", " !!binary /w==\n"},
  };
  for (const auto& row : rows) {
    INFO(row.text);
    CHECK(Printed(row.text) == row.printed);
  }
}

TEST_CASE("long text folds at blanks after eighty columns") {
  const std::string half(70, 'x');
  CHECK(Printed(half + " yyyyyyyyyyyyy zz") ==
        " " + half + " yyyyyyyyyyyyy\n  zz\n");
}

TEST_CASE("whatever text is printed reads back the same") {
  std::mt19937 random(3);
  const std::string alphabet = "ab1 :#-'\"\\\n\t{}[]?!|>%@,~.x_0";
  for (int i = 0; i < 5000; ++i) {
    std::string text;
    const auto size = random() % (i % 10 == 0 ? 200 : 12);
    for (std::size_t k = 0; k < size; ++k) {
      text += alphabet[random() % alphabet.size()];
    }
    const std::string printed = "k:" + Printed(text);
    const auto document = Document::Parse(printed, "f");
    INFO(printed);
    INFO(document.status());
    REQUIRE(document.ok());
    CHECK(document->root().Find("k")->scalar() == text);
  }
}

}  // namespace
}  // namespace narthex::yaml
