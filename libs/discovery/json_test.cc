#include "libs/discovery/json.h"

#include <catch2/catch.hpp>

namespace narthex::discovery {
namespace {

Json Parsed(const std::string& text) {
  const auto json = ParseJson(text);
  INFO(text << ": " << json.status());
  REQUIRE(json.ok());
  return *json;
}

TEST_CASE("json is read and printed again") {
  const std::string text =
      GENERATE("null", "true", "-12", "1.5", R"("a\"\n\u0001ü")", "[]", "{}",
               R"([1,[2,{"a":null}],"x"])",
               R"({"a":[true,false],"b":{"c":"d"}})", "9223372036854775807");
  CHECK(Parsed(text).Dump() == text);
}

TEST_CASE("json values tell what they are and hold nothing else") {
  const Json json = Parsed(
      R"({"t": "x", "n": 2.9, "i": 7, "f": true, "l": ["a", 1], "m": {"k": "v"},
          "big": 1e300, "above": 18446744073709551615})");
  CHECK(Text(json, "t") == "x");
  CHECK(Text(json, "n").empty());
  CHECK(Number(json, "n") == 2);
  CHECK(Child(json, "n").number() == 2.9);
  CHECK_FALSE(Child(json, "n").is_integer());
  CHECK(Number(json, "i") == 7);
  CHECK(Child(json, "i").number() == 7);
  CHECK(Number(json, "big") == 9223372036854775807);
  CHECK(Number(json, "above") == 9223372036854775807);
  CHECK(Flag(json, "f"));
  CHECK_FALSE(Flag(json, "t"));
  CHECK(Texts(json, "l") == std::vector<std::string>{"a", ""});
  CHECK(Text(Child(json, "m"), "k") == "v");
  CHECK(Child(json, "missing").is_null());
  CHECK(Child(Child(json, "t"), "k").is_null());
  CHECK(Child(json, "t").items().empty());
  CHECK(Child(json, "l").members().empty());
}

TEST_CASE("of two members with one key the last one counts") {
  CHECK(Parsed(R"({"b": 1, "a": 2, "b": 3, "a": 4})").Dump() ==
        R"({"a":4,"b":3})");
}

TEST_CASE("what is no json is refused") {
  const std::string text =
      GENERATE("", "{", "[1,]", "{\"a\" 1}", "nul", "\"a", "1 2",
               std::string(1001, '[') + std::string(1001, ']'));
  const auto json = ParseJson(text);
  CHECK(absl::IsInvalidArgument(json.status()));
  CHECK_FALSE(json.status().message().empty());
}

TEST_CASE("json nested as deep as allowed is read") {
  const std::string text = std::string(1000, '[') + std::string(1000, ']');
  CHECK(Parsed(text).Dump() == text);
}

TEST_CASE("json that is sent has only valid text") {
  CHECK(Json::Map({{"a", Json::List({"x\xff", 1, true, 0.5})}, {"b", Json()}})
            .Dump() == "{\"a\":[\"x\xEF\xBF\xBD\",1,true,0.5],\"b\":null}");
}

}  // namespace
}  // namespace narthex::discovery
