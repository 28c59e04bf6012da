#include "services/querier/relabel_steps.h"

#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "services/querier/params.h"

namespace narthex::querier {
namespace {

absl::StatusOr<const config::ScrapeConfig*> PoolNamed(
    const LoadedConfig::Snapshot& config, const http::Request& request) {
  const absl::string_view name = request.params.Get("scrapePool");
  if (name.empty()) {
    return absl::InvalidArgumentError("no scrapePool parameter provided");
  }
  for (const config::ScrapeConfig& pool : config.scrape_configs) {
    if (pool.job_name == name) return &pool;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "error getting scrape config: scrape pool not found: \"", name, "\""));
}

absl::StatusOr<model::Labels> ReadLabels(absl::string_view text) {
  if (text.empty()) {
    return absl::InvalidArgumentError("no labels parameter provided");
  }
  const auto json = nlohmann::json::parse(text.begin(), text.end(),
                                          /*cb=*/nullptr,
                                          /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return absl::InvalidArgumentError(
        "error parsing labels: they are no JSON object");
  }
  model::LabelsBuilder builder;
  for (const auto& [name, value] : json.items()) {
    if (!value.is_string()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "error parsing labels: the value of ", name, " is no string"));
    }
    builder.Set(name, value.get_ref<const std::string&>());
  }
  return builder.Build();
}

// What is empty is left out.
void WriteRule(const relabel::Config& rule, JsonWriter* json) {
  const auto text = [json](absl::string_view key, absl::string_view value) {
    if (!value.empty()) json->Key(key).String(value);
  };
  json->BeginObject();
  if (!rule.source_labels.empty()) {
    json->Key("source_labels").Strings(rule.source_labels);
  }
  text("separator", rule.separator);
  text("regex", rule.regex);
  if (rule.modulus != 0) {
    json->Key("modulus").Int(static_cast<std::int64_t>(rule.modulus));
  }
  text("target_label", rule.target_label);
  text("replacement", rule.replacement);
  text("action", absl::AsciiStrToLower(rule.action));
  json->EndObject();
}

// After a step that drops the target the others do nothing.
void WriteSteps(const std::vector<relabel::Rule>& rules,
                const model::Labels& labels, JsonWriter* json) {
  model::LabelsBuilder builder(labels);
  bool keep = true;
  json->BeginObject().Key("steps").BeginArray();
  for (const relabel::Rule& rule : rules) {
    keep = keep && rule.Apply(&builder);
    json->BeginObject().Key("rule");
    WriteRule(rule.config(), json);
    json->Key("output")
        .Labels(keep ? builder.Build() : model::Labels())
        .Key("keep")
        .Bool(keep)
        .EndObject();
  }
  json->EndArray().EndObject();
}

absl::Status RelabelSteps(const LoadedConfig& config,
                          const http::Request& request, Answer* answer) {
  const auto snapshot = config.snapshot();
  NARTHEX_ASSIGN_OR_RETURN(const config::ScrapeConfig* pool,
                           PoolNamed(*snapshot, request));
  NARTHEX_ASSIGN_OR_RETURN(const model::Labels labels,
                           ReadLabels(request.params.Get("labels")));
  WriteSteps(pool->relabel_configs, labels, &answer->data());
  return absl::OkStatus();
}

absl::Status PoolConfig(const LoadedConfig& config,
                        const http::Request& request, Answer* answer) {
  const auto snapshot = config.snapshot();
  NARTHEX_ASSIGN_OR_RETURN(const config::ScrapeConfig* pool,
                           PoolNamed(*snapshot, request));
  yaml::Emitter emitter;
  config::Emit(*pool, &emitter);
  answer->data().BeginObject().Key("yaml").String(emitter.text()).EndObject();
  return absl::OkStatus();
}

}  // namespace

void AddScrapePoolRoutes(ApiRoutes& routes, const LoadedConfig& config) {
  routes.Add("GET", "/targets/relabel_steps",
             [&config](const http::Request& request, Answer* answer) {
               return RelabelSteps(config, request, answer);
             });
  routes.Add("GET", "/scrape_pools/config",
             [&config](const http::Request& request, Answer* answer) {
               return PoolConfig(config, request, answer);
             });
}

}  // namespace narthex::querier
