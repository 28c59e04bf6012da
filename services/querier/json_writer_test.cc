#include "services/querier/json_writer.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace narthex::querier {
namespace {

std::string Value(double value) {
  std::string out;
  AppendJsonValue(value, &out);
  return out;
}

std::string Time(std::int64_t unix_ms) {
  std::string out;
  AppendJsonTime(unix_ms, &out);
  return out;
}

std::string Text(absl::string_view text) {
  std::string out;
  AppendJsonString(text, &out);
  return out;
}

TEST_CASE("sample values are written as Prometheus writes them") {
  const std::vector<std::pair<double, std::string>> rows = {
      {0, "\"0\""},
      {-0.0, "\"-0\""},
      {1, "\"1\""},
      {-42, "\"-42\""},
      {0.1, "\"0.1\""},
      {1.0 / 3, "\"0.3333333333333333\""},
      {1e-6, "\"0.000001\""},
      {1e-7, "\"1e-07\""},
      {123456789012345678, "\"123456789012345680\""},
      {1e20, "\"100000000000000000000\""},
      {1e21, "\"1e+21\""},
      {5e-324, "\"5e-324\""},
      {std::numeric_limits<double>::max(), "\"1.7976931348623157e+308\""},
      {std::numeric_limits<double>::infinity(), "\"+Inf\""},
      {-std::numeric_limits<double>::infinity(), "\"-Inf\""},
      {std::nan(""), "\"NaN\""},
  };
  for (const auto& [value, want] : rows) CHECK(Value(value) == want);
}

TEST_CASE("times are seconds with three decimals when there are any") {
  CHECK(Time(0) == "0");
  CHECK(Time(1435781451781) == "1435781451.781");
  CHECK(Time(1000) == "1");
  CHECK(Time(1500) == "1.500");
  CHECK(Time(1005) == "1.005");
  CHECK(Time(-1005) == "-1.005");
  CHECK(Time(-5) == "-0.005");
  CHECK(Time(std::numeric_limits<std::int64_t>::min()) ==
        "-9223372036854775.808");
}

TEST_CASE("texts are safe in JSON and in HTML") {
  CHECK(Text("plain") == "\"plain\"");
  CHECK(Text("a\"b\\c\n\r\t\x01") == "\"a\\\"b\\\\c\\n\\r\\t\\u0001\"");
  CHECK(Text("<b>&</b>") == "\"\\u003cb\\u003e\\u0026\\u003c/b\\u003e\"");
  CHECK(Text("\u00fc\u2028\xff!") == "\"\u00fc\\u2028\\ufffd!\"");
}

TEST_CASE("label values are written as they are, but for what JSON forbids") {
  std::string out;
  AppendJsonLabels({{"a", "<x>"}, {"b", "\"\\\n"}}, &out);
  CHECK(out == "{\"a\":\"<x>\",\"b\":\"\\\"\\\\\\n\"}");
}

TEST_CASE("commas stand between members and elements only") {
  std::string out;
  JsonWriter json(&out);
  json.BeginObject().Key("a").BeginArray().Int(1).Int(2).EndArray();
  json.Key("b").BeginObject().EndObject().Key("c").Null();
  json.Key("d").Double(1e-9).Key("e").Time(0).EndObject();
  CHECK(out ==
        "{\"a\":[1,2],\"b\":{},\"c\":null,\"d\":1e-9,"
        "\"e\":\"0001-01-01T00:00:00Z\"}");
}

}  // namespace
}  // namespace narthex::querier
