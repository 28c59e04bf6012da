#include "libs/rules/rule_file.h"

#include <catch2/catch.hpp>
#include <string>

namespace narthex::rules {
namespace {

TEST_CASE("a rule file is read with all its fields") {
  const auto file = ParseRuleFile(R"(groups:
  - name: g
    interval: 30s
    query_offset: 1m
    limit: 10
    labels: {team: a}
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
        labels: {x: y}
      - alert: Down
        expr: up == 0
        for: 5m
        keep_firing_for: 1m
        labels: {severity: page}
        annotations: {summary: "{{ $labels.job }} is down"}
)",
                                  "a.yml");
  REQUIRE(file.ok());
  REQUIRE(file->groups.size() == 1);
  const GroupSpec& group = file->groups[0];
  CHECK(group.name == "g");
  CHECK(group.interval_ms == 30000);
  CHECK(group.query_offset_ms == 60000);
  CHECK(group.limit == 10);
  CHECK(group.labels.at("team") == "a");
  REQUIRE(group.rules.size() == 2);
  CHECK(group.rules[0].record == "job:up:sum");
  CHECK(group.rules[0].labels.at("x") == "y");
  CHECK(group.rules[1].alert == "Down");
  CHECK(group.rules[1].for_ms == 300000);
  CHECK(group.rules[1].keep_firing_for_ms == 60000);
}

TEST_CASE("what is wrong in a rule file is named with its place") {
  struct Row {
    const char* rule;
    const char* reason;
  };
  const Row row = GENERATE(values<Row>({
      {"{record: a, alert: b, expr: up}",
       "rule 1, \"a\": only one of 'record' and 'alert' must be set"},
      {"{expr: up}", "rule 1, \"\": one of 'record' or 'alert' must be set"},
      {"{record: a}", "rule 1, \"a\": field 'expr' must be set in rule"},
      {"{record: a, expr: up, for: 1m}",
       "rule 1, \"a\": invalid field 'for' in recording rule"},
      {"{record: a, expr: 'up{'}",
       "rule 1, \"a\": could not parse expression: 1:4: parse error: "
       "unexpected end of input inside braces"},
      {"{record: 'a{}', expr: up}",
       "rule 1, \"a{}\": braces present in the recording rule name; should it "
       "be in expr?: a{}"},
      {"{alert: A, expr: up, labels: {__name__: x}}",
       "rule 1, \"A\": invalid label name: __name__"},
      {"{alert: A, expr: up, annotations: {s: '{{ nope }}'}}",
       "rule 1, \"A\": annotation \"s\": error parsing template __alert_A: "
       "template: __alert_A:1: function \"nope\" not defined"},
  }));
  const auto file = ParseRuleFile(
      std::string("groups:\n- name: g\n  rules:\n  - ") + row.rule, "a.yml");
  CHECK(file.status().message() ==
        std::string("a.yml: line 4: groups[0].rules[0]: group \"g\", ") +
            row.reason);
}

}  // namespace
}  // namespace narthex::rules
