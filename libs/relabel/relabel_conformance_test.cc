#include <catch2/catch.hpp>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "libs/base/file.h"
#include "libs/relabel/name_template.h"
#include "libs/relabel/relabel.h"

namespace narthex::relabel {
namespace {

using Json = nlohmann::json;

Json Vectors(const std::string& name) {
  const char* shared = std::getenv("NARTHEX_SHARED");
  const std::string root = shared != nullptr ? shared : NARTHEX_SHARED_DEFAULT;
  const auto text = base::ReadFile(root + "/conformance/relabel/" + name);
  if (!text.ok()) {
    WARN("no conformance data: " << text.status());
    return Json::object();
  }
  return Json::parse(*text);
}

void Take(const Json& from, const char* key, bool keep_empty, std::string* to) {
  const std::string value = from.value(key, "");
  if (keep_empty || !value.empty()) *to = value;
}

/// `as_is`: absent keys are empty instead of taking their defaults.
Config ConfigOf(const Json& json, bool as_is) {
  Config config;
  config.source_labels =
      json.value("source_labels", std::vector<std::string>{});
  Take(json, "separator", as_is, &config.separator);
  Take(json, "regex", as_is, &config.regex);
  Take(json, "target_label", as_is, &config.target_label);
  Take(json, "replacement", as_is, &config.replacement);
  Take(json, "action", as_is, &config.action);
  config.modulus = json.value("modulus", std::uint64_t{0});
  return config;
}

model::Labels LabelsOf(const Json& json) {
  model::LabelsBuilder labels;
  for (const auto& [name, value] : json.items()) {
    labels.Set(name, value.get<std::string>());
  }
  return labels.Build();
}

TEST_CASE("relabelling gives what Prometheus gives") {
  int count = 0;
  const Json vectors = Vectors("relabel.json");
  for (const Json& row : vectors.value("relabel", Json::array())) {
    INFO(row.dump());
    std::vector<Rule> rules;
    for (const Json& config : row["configs"]) {
      auto rule = Rule::Create(ConfigOf(config, false), NameValidation::kUtf8);
      INFO(rule.status());
      REQUIRE(rule.ok());
      rules.push_back(*rule);
    }
    model::LabelsBuilder labels(LabelsOf(row["input"]));
    const bool kept = Apply(rules, &labels);
    CHECK(kept == !row.value("drop", false));
    if (kept && row.contains("output")) {
      CHECK(labels.Build() == LabelsOf(row["output"]));
    }
    ++count;
  }
  WARN("relabelling vectors: " << count);
}

TEST_CASE("rules are accepted and refused as by Prometheus") {
  const Json vectors = Vectors("validate.json");
  for (const Json& row : vectors.value("validate", Json::array())) {
    INFO(row.dump());
    const auto validation = row["config"]["name_validation_scheme"] == "legacy"
                                ? NameValidation::kLegacy
                                : NameValidation::kUtf8;
    const auto rule = Rule::Create(ConfigOf(row["config"], true), validation);
    if (row["error_contains"].is_null()) {
      INFO(rule.status());
      CHECK(rule.ok());
    } else {
      REQUIRE_FALSE(rule.ok());
      CHECK_THAT(std::string(rule.status().message()),
                 Catch::Contains(row["error_contains"].get<std::string>()));
    }
  }
  for (const Json& row : vectors.value("legacy_target_label", Json::array())) {
    INFO(row.dump());
    CHECK(IsValidNameTemplate(row["target_label"].get<std::string>(),
                              NameValidation::kLegacy) ==
          row["valid_legacy"].get<bool>());
  }
}

}  // namespace
}  // namespace narthex::relabel
