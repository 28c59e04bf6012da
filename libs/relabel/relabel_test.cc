#include "libs/relabel/relabel.h"

#include <catch2/catch.hpp>

namespace narthex::relabel {
namespace {

absl::StatusOr<Rule> Parse(absl::string_view text) {
  auto document = yaml::Document::Parse(text, "f.yml");
  if (!document.ok()) return document.status();
  Rule rule;
  if (auto status = Decode(document->root(), &rule); !status.ok()) {
    return status;
  }
  return rule;
}

TEST_CASE("absent keys take Prometheus's defaults") {
  const auto rule = Parse("{target_label: x}");
  REQUIRE(rule.ok());
  CHECK(rule->action() == Action::kReplace);
  CHECK(rule->config().separator == ";");
  CHECK(rule->config().regex == "(.*)");
  CHECK(rule->config().replacement == "$1");
}

TEST_CASE("explicitly empty separator and replacement stay empty") {
  const auto rule =
      Parse("{source_labels: [a, b], separator: '', target_label: x}");
  REQUIRE(rule.ok());
  model::LabelsBuilder labels(model::Labels{{"a", "1"}, {"b", "2"}});
  REQUIRE(rule->Apply(&labels));
  CHECK(labels.Get("x") == "12");
  const auto removal = Parse("{target_label: a, replacement: ''}");
  REQUIRE(removal.ok());
  REQUIRE(removal->Apply(&labels));
  CHECK(labels.Get("a").empty());
}

TEST_CASE("letters beyond ASCII change their case too") {
  const auto rule = Parse(
      "{source_labels: [a], target_label: a, action: "
      "Uppercase}");
  REQUIRE(rule.ok());
  model::LabelsBuilder labels(model::Labels{{"a", "\xc3\xa9x\xff"}});
  REQUIRE(rule->Apply(&labels));
  CHECK(labels.Get("a") == "\xc3\x89X\xff");
}

TEST_CASE("bad entries are refused with their place and reason") {
  const struct {
    const char* text;
    const char* message;
  } rows[] = {
      {"{}", "requires 'target_label' value"},
      {"{action: }", "relabel action cannot be empty"},
      {"{action: explode}", "unknown relabel action \"explode\""},
      {"{action: hashmod, target_label: x}", "requires non-zero modulus"},
      {"{source_labels: [a, ''], target_label: x}",
       "\"\" is not a valid label name"},
      {"{regex: '(', target_label: x}", "error parsing regexp"},
      {"{action: labeldrop, modulus: 8}", "requires only 'regex'"},
      {"{action: keepequal, target_label: x, regex: y}",
       "requires only 'source_labels' and 'target_label'"},
      {"{action: uppercase, target_label: x, replacement: y}",
       "'replacement' can not be set for uppercase action"},
      {"{target_labels: x}", "field target_labels not found"},
  };
  for (const auto& row : rows) {
    INFO(row.text);
    const auto rule = Parse(row.text);
    REQUIRE_FALSE(rule.ok());
    CHECK_THAT(
        std::string(rule.status().message()),
        Catch::StartsWith("f.yml: line 1: ") && Catch::Contains(row.message));
  }
}

TEST_CASE(
    "a printed rule shows its defaults but the regex and reads back equal") {
  const auto rule = Parse("{source_labels: [a, b], target_label: x}");
  REQUIRE(rule.ok());
  yaml::Emitter out;
  Emit(*rule, &out);
  CHECK(out.text() ==
        "source_labels: [a, b]\nseparator: ;\n"
        "target_label: x\nreplacement: $1\naction: replace\n");
  CHECK(*Parse(out.text()) == *rule);
}

}  // namespace
}  // namespace narthex::relabel
