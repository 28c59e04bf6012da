#include "libs/promql/parser.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

namespace narthex::promql {
namespace {

std::string Error(absl::string_view text) {
  const auto expr = Parse(text);
  return expr.ok() ? "" : std::string(expr.status().message());
}

std::string Printed(absl::string_view text) {
  const auto expr = Parse(text, ParserOptions::All());
  INFO(std::string(text));
  INFO(expr.status().ToString());
  REQUIRE(expr.ok());
  return (*expr)->String();
}

TEST_CASE("an expression prints in its normal form, which parses to itself") {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"1", "1"},
      {"0x1F", "31"},
      {"010", "8"},
      {"1_000", "1000"},
      {"-.5e1", "-5"},
      {"+Inf", "+Inf"},
      {"nan", "NaN"},
      {"5m", "5m"},
      {"-1h30m", "-1h30m"},
      {"\"a\\n\"", "\"a\\n\""},
      {"`a\\n`", "\"a\\\\n\""},
      {"foo", "foo"},
      {"foo{}", "foo"},
      {"foo{b='x', a=~\"y\",}", "foo{a=~\"y\",b=\"x\"}"},
      {"{\"foo.bar\"}", "{__name__=\"foo.bar\"}"},
      {"{\"foo\", \"l.x\"!=\"v\"}", "{\"l.x\"!=\"v\",__name__=\"foo\"}"},
      {"sum:by", "sum:by"},
      {"sum", "sum"},
      {"foo[5m]", "foo[5m]"},
      {"foo[300]", "foo[5m]"},
      {"foo [ 5m : 1m ]", "foo[5m:1m]"},
      {"foo[5m:]", "foo[5m:]"},
      {"foo offset -1w", "foo offset -1w"},
      {"foo[5m] offset 1m @ 10.5", "foo[5m] @ 10.500 offset 1m"},
      {"foo @ start() offset 5m", "foo @ start() offset 5m"},
      {"foo[10m:5m] @ end()", "foo[10m:5m] @ end()"},
      {"foo[5m * 2]", "foo[5m * 2]"},
      {"foo[(5m)]", "foo[(5m)]"},
      {"foo offset -(1h + step())", "foo offset -(1h + step())"},
      {"foo[max_of(step(), 5m)]", "foo[max_of(step(), 5m)]"},
      {"foo[5m] anchored", "foo[5m] anchored"},
      {"foo smoothed", "foo smoothed"},
      {"a + b * c ^ d ^ e", "a + b * c ^ d ^ e"},
      {"-a ^ b", "-a ^ b"},
      {"a and b or c unless d", "a and b or c unless d"},
      {"a == bool 1", "a == bool 1"},
      {"a </ 1 >/ 2", "a </ 1 >/ 2"},
      {"a atan2 b", "a atan2 b"},
      {"a / on(x,\"y.z\") group_left (q) b",
       "a / on (x, \"y.z\") group_left (q) b"},
      {"a / ignoring(x) group_right b", "a / ignoring (x) group_right () b"},
      {"a + on() b", "a + on () b"},
      {"a + fill(0) b", "a + fill (0) b"},
      {"a + fill_right(1) fill_left(-2) b",
       "a + fill_left (-2) fill_right (1) b"},
      {"fill + fill", "fill + fill"},
      {"sum(foo) by (a,b)", "sum by (a, b) (foo)"},
      {"sum without() (foo)", "sum without () (foo)"},
      {"topk(5, foo)", "topk(5, foo)"},
      {"count_values(\"v\", foo)", "count_values(\"v\", foo)"},
      {"limit_ratio(0.5, foo)", "limit_ratio(0.5, foo)"},
      {"rate(foo[5m])", "rate(foo[5m])"},
      {"time()", "time()"},
      {"start() + step()", "start() + step()"},
      {"label_join(a, \"x\", \",\", \"y\", \"z\")",
       "label_join(a, \"x\", \",\", \"y\", \"z\")"},
      {"(foo)[5m:]", "(foo)[5m:]"},
      {"foo # comment\n + bar", "foo + bar"},
  };
  for (const auto& [text, want] : rows) {
    const std::string printed = Printed(text);
    CHECK(printed == want);
    CHECK(Printed(printed) == printed);
  }
}

TEST_CASE("operators bind as strongly as Prometheus's") {
  const auto expr = *Parse("-a ^ b * c");
  REQUIRE(expr->kind == ExprKind::kBinary);
  CHECK(expr->As<BinaryExpr>().op == BinaryOp::kMul);
  const Expr& lhs = *expr->As<BinaryExpr>().lhs;
  REQUIRE(lhs.kind == ExprKind::kUnary);
  CHECK(lhs.As<UnaryExpr>().expr->kind == ExprKind::kBinary);

  const auto power = *Parse("2 ^ 3 ^ 4");
  CHECK(power->As<BinaryExpr>().rhs->kind == ExprKind::kBinary);
  const auto minus = *Parse("2 - 3 - 4");
  CHECK(minus->As<BinaryExpr>().lhs->kind == ExprKind::kBinary);
  const auto offset = *Parse("a offset 5m + b");
  CHECK(offset->kind == ExprKind::kBinary);
}

TEST_CASE("a wrong expression is refused with Prometheus's words") {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"", "unknown position: parse error: no expression found in input"},
      {"1 +", "1:4: parse error: unexpected end of input"},
      {"foo bar", "1:5: parse error: unexpected identifier \"bar\""},
      {"sum(foo bar)",
       "1:9: parse error: unexpected identifier \"bar\" in aggregation"},
      {"sum some by (x)", "1:5: parse error: unexpected identifier \"some\""},
      {"foo{a}",
       "1:6: parse error: unexpected \"}\" in label matching, expected label "
       "matching operator"},
      {"foo{a=1}", "1:7: parse error: unexpected character inside braces: '1'"},
      {"foo{a=b}",
       "1:7: parse error: unexpected identifier \"b\" in label matching, "
       "expected string"},
      {"foo{,}",
       "1:5: parse error: unexpected \",\" in label matching, expected "
       "identifier or \"}\""},
      {"foo{a=\"b\" c=\"d\"}",
       "1:11: parse error: unexpected identifier \"c\" in label matching, "
       "expected \",\" or \"}\""},
      {"foo{", "1:5: parse error: unexpected end of input inside braces"},
      {"{}",
       "1:1: parse error: vector selector must contain at least one non-empty "
       "matcher"},
      {"foo{__name__=\"bar\"}",
       "1:1: parse error: metric name must not be set twice: \"foo\" or "
       "\"bar\""},
      {"(1", "1:3: parse error: unclosed left parenthesis"},
      {"1)", "1:3: parse error: unexpected right parenthesis ')'"},
      {"foo[5m", "1:7: parse error: unclosed left bracket"},
      {"foo[]",
       "1:5: parse error: unexpected \"]\" in subquery or range selector, "
       "expected number, duration, step(), or range()"},
      {"foo[0]", "1:5: parse error: duration must be greater than 0"},
      {"foo[-1]", "1:5: parse error: duration must be greater than 0"},
      {"foo[5m", "1:7: parse error: unclosed left bracket"},
      {"foo offset 5m[1m]",
       "1:14: parse error: no offset modifiers allowed before range"},
      {"foo @ 1[1m]", "1:8: parse error: no @ modifiers allowed before range"},
      {"(foo)[5m]",
       "1:6: parse error: ranges only allowed for vector selectors"},
      {"foo offset",
       "1:11: parse error: unexpected end of input in offset, expected "
       "number, duration, step(), or range()"},
      {"1 offset 5m",
       "1:1: parse error: offset modifier must be preceded by an instant "
       "vector selector or range vector selector or a subquery"},
      {"foo offset 1m offset 2m",
       "1:1: parse error: offset may not be set multiple times"},
      {"foo @ 1 @ 2",
       "1:1: parse error: @ <timestamp> may not be set multiple times"},
      {"foo @ bar",
       "1:7: parse error: unexpected identifier \"bar\" in @, expected "
       "timestamp"},
      {"foo @ Inf",
       "1:1: parse error: timestamp out of bounds for @ modifier: +Inf"},
      {"nope(foo)", "1:1: parse error: unknown function with name \"nope\""},
      {"mad_over_time(foo[1m])",
       "1:1: parse error: function \"mad_over_time\" is not enabled"},
      {"limitk(1, foo)",
       "1:1: parse error: limitk() is experimental and must be enabled with "
       "--enable-feature=promql-experimental-functions"},
      {"rate(foo)",
       "1:6: parse error: expected type range vector in call to function "
       "\"rate\", got instant vector"},
      {"rate()",
       "1:1: parse error: expected 1 argument(s) in call to \"rate\", got 0"},
      {"label_join()",
       "1:1: parse error: expected at least 3 argument(s) in call to "
       "\"label_join\", got 0"},
      {"hour(a, b)",
       "1:1: parse error: expected at most 1 argument(s) in call to \"hour\", "
       "got 2"},
      {"abs(foo,)",
       "1:8: parse error: trailing commas not allowed in function call args"},
      {"sum()",
       "1:1: parse error: no arguments for aggregate expression provided"},
      {"topk(foo)",
       "1:1: parse error: wrong number of arguments for aggregate expression "
       "provided, expected 2, got 1"},
      {"sum(1)",
       "1:5: parse error: expected type instant vector in aggregation "
       "expression, got scalar"},
      {"sum by [a] (foo)",
       "1:8: parse error: unexpected \"[\" in grouping opts, expected \"(\""},
      {"sum by (1) (foo)",
       "1:9: parse error: unexpected number \"1\" in grouping opts, expected "
       "label"},
      {"1 == 1",
       "1:3: parse error: comparisons between scalars must use BOOL modifier"},
      {"foo + bool bar",
       "1:5: parse error: bool modifier can only be used on comparison "
       "operators"},
      {"1 and foo",
       "1:1: parse error: set operator \"and\" not allowed in binary scalar "
       "expression"},
      {"foo and on(a) group_left bar",
       "1:1: parse error: no grouping allowed for \"and\" operation"},
      {"foo + on(a) group_left(a) bar",
       "1:5: parse error: label \"a\" must not occur in ON and GROUP clause at "
       "once"},
      {"foo + on(a) 1",
       "1:1: parse error: vector matching only allowed between instant "
       "vectors"},
      {"\"a\" + 1",
       "1:1: parse error: binary expression must contain only scalar and "
       "instant vector types"},
      {"-\"a\"",
       "1:1: parse error: unary expression only allowed on expressions of type "
       "scalar or instant vector, got \"string\""},
      {"foo[5m][1m:]",
       "1:1: parse error: subquery is only allowed on instant vector, got "
       "matrix instead"},
      {"1.5h", "1:1: parse error: unknown unit \".\" in duration \"1.5h\""},
      {"$", "1:1: parse error: unexpected character: '$'"},
      {"\"abc", "1:1: parse error: unterminated quoted string"},
      {"a + fill(0) b",
       "1:1: parse error: binop fill modifiers are experimental and not "
       "enabled"},
      {"foo\n  ! 2", "2:3: parse error: unexpected character after '!': ' '"},
  };
  for (const auto& [text, want] : rows) {
    INFO(text);
    CHECK(Error(text) == want);
  }
}

TEST_CASE("hostile nesting is refused instead of exhausting the stack") {
  const std::string open(100'000, '(');
  CHECK_THAT(Error(open), Catch::Contains("nested too deeply"));
  std::string chain = "1";
  for (int i = 0; i < 100'000; ++i) chain += "+1";
  CHECK_THAT(Error(chain), Catch::Contains("nested too deeply"));
  CHECK_THAT(Error(std::string(100'000, '-') + "1"),
             Catch::Contains("nested too deeply"));
  CHECK_THAT(Error("a[" + std::string(100'000, '(')),
             Catch::Contains("nested too deeply"));
}

TEST_CASE("match[] selectors and series are parsed alone") {
  const auto selector = ParseMetricSelector("up{job=~\"a|b\"}");
  REQUIRE(selector.ok());
  REQUIRE(selector->size() == 2);
  CHECK((*selector)[0].ToString() == "job=~\"a|b\"");
  CHECK((*selector)[1].ToString() == "__name__=\"up\"");
  CHECK_FALSE(ParseMetricSelector("up + 1").ok());
  CHECK(ParseMetricSelector("up[").status().message() ==
        "1:3: parse error: unexpected \"[\"");

  CHECK(ParseMetric("up{a=\"b\"}")->ToMetricString() == "up{a=\"b\"}");
  std::size_t length = 0;
  const auto series = ParseMetricPrefix("{\"a.b\", c=\"} {\"} 1+2x3", &length);
  REQUIRE(series.ok());
  CHECK(length == 16);
  CHECK(series->metric_name() == "a.b");
  CHECK(ParseMetricPrefix("up {{schema:1}}", &length)->metric_name() == "up");
  CHECK(length == 2);
}

TEST_CASE("preparing marks the largest step-invariant parts") {
  const auto kinds = [](absl::string_view text) {
    auto expr = Prepare(*Parse(text, ParserOptions::All()), 1000, 61000, 5000);
    REQUIRE(expr.ok());
    return std::move(*expr);
  };
  CHECK(kinds("foo")->kind == ExprKind::kVectorSelector);
  const auto fixed = kinds("sum(rate(foo[5m] @ start()))");
  REQUIRE(fixed->kind == ExprKind::kStepInvariant);
  CHECK(fixed->String() == "sum(rate(foo[5m] @ 1.000))");
  const auto half = kinds("foo @ end() + bar");
  REQUIRE(half->kind == ExprKind::kBinary);
  CHECK(half->As<BinaryExpr>().lhs->kind == ExprKind::kStepInvariant);
  CHECK(half->As<BinaryExpr>().lhs->String() == "foo @ 61.000");
  CHECK(kinds("time()")->kind == ExprKind::kCall);
  CHECK(kinds("timestamp(foo @ 1)")->kind == ExprKind::kStepInvariant);
  CHECK(kinds("1 + start()")->String() == "1 + 1");
  const auto window = kinds("foo[step() * 2]");
  CHECK(window->As<MatrixSelector>().range_ms == 10'000);
  CHECK_FALSE(Prepare(*Parse("foo[1m - range()]"), 0, 60'000, 1000).ok());
}

}  // namespace
}  // namespace narthex::promql
