#include "libs/tmpl/print.h"

#include <catch2/catch.hpp>
#include <limits>
#include <string>
#include <vector>

#include "libs/tmpl/json.h"

namespace narthex::tmpl {
namespace {

struct Row {
  const char* format;
  std::vector<Value> args;
  const char* want;
};

TEST_CASE("printf follows Go's verbs and flags") {
  const std::vector<Row> rows = {
      {"%d %5d|%-5d|%05d|%+d", std::vector<Value>(5, Value::Int(42)),
       "42    42|42   |00042|+42"},
      {"%x %X %#x %o %b %c %U", std::vector<Value>(7, Value::Int(65)),
       "41 41 0x41 101 1000001 A U+0041"},
      {"%f %.2f %8.3f %e %g %v", std::vector<Value>(6, Value::Float(1234.5)),
       "1234.500000 1234.50 1234.500 1.234500e+03 1234.5 1234.5"},
      {"%s|%10s|%-10s|%.2s|%q|%x", std::vector<Value>(6, Value::String("abc")),
       "abc|       abc|abc       |ab|\"abc\"|616263"},
      {"%t %v", {Value::Bool(true), Value::Bool(false)}, "true false"},
      {"%d", {Value::String("x")}, "%!d(string=x)"},
      {"%s", {Value::Int(3)}, "%!s(int=3)"},
      {"%d", {}, "%!d(MISSING)"},
      {"x", {Value::Int(1)}, "x%!(EXTRA int=1)"},
      {"%", {}, "%!(NOVERB)"},
      {"100%%", {}, "100%"},
      {"%*d", {Value::Int(4), Value::Int(7)}, "   7"},
      {"%T %T", {Value::Int(1), Value::String("")}, "int string"},
      {"%v", {Value::Duration(1500000000)}, "1.5s"},
      {"%v", {Value::Float(std::numeric_limits<double>::infinity())}, "+Inf"},
      {"%v %s",
       {Value::OfList({Value::Int(1), Value()}),
        Value::OfList({Value::String("a")})},
       "[1 <nil>] [a]"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.format);
    CHECK(Sprintf(row.format, row.args) == row.want);
  }
}

TEST_CASE("JSON is written as Go writes it") {
  const Value value = Value::OfMap(
      {{"b", Value::String("<&>\n\"\xff\x01")},
       {"a", Value::OfList({Value::Float(1e21), Value::Float(1e-7),
                            Value::Float(100), Value::Bool(true), Value()})}});
  CHECK(ToJson(value).value() ==
        "{\"a\":[1e+21,1e-7,100,true,null],"
        "\"b\":\"\\u003c\\u0026\\u003e\\n\\\"\\ufffd\\u0001\"}");
  CHECK_FALSE(
      ToJson(Value::Float(std::numeric_limits<double>::quiet_NaN())).ok());
}

}  // namespace
}  // namespace narthex::tmpl
