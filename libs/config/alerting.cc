#include "libs/config/alerting.h"

#include "absl/strings/str_cat.h"
#include "libs/config/fields.h"

namespace narthex::config {
namespace {

absl::Status Decode(const yaml::Node& node, relabel::NameValidation validation,
                    AlertmanagerConfig* config) {
  yaml::Decoder d(node);
  d.Field("scheme", &config->scheme);
  d.Field("path_prefix", &config->path_prefix);
  d.Duration("timeout", &config->timeout_ms);
  d.Field("api_version", &config->api_version);
  if (config->api_version != "v2") {
    d.FailField("api_version",
                absl::StrCat("expected Alertmanager api version to be one of "
                             "[v2] but got ",
                             config->api_version));
  }
  http::DecodeClientConfig(d, &config->http);
  if (d.Take("sigv4") != nullptr) {
    d.FailField("sigv4", "known to Prometheus, not supported yet");
  }
  discovery::DecodeConfigs(d, &config->discovery);
  DecodeRules(d, "relabel_configs", validation, &config->relabel_configs);
  DecodeRules(d, "alert_relabel_configs", validation,
              &config->alert_relabel_configs);
  if (config->relabel_configs.empty()) CheckStaticTargets(d, config->discovery);
  return d.Done();
}

void Emit(const AlertmanagerConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  http::EmitClientConfig(config.http, out);
  EmitText("scheme", config.scheme, out);
  EmitText("path_prefix", config.path_prefix, out);
  EmitDuration("timeout", config.timeout_ms, out);
  out->Field("api_version", config.api_version);
  EmitRules("relabel_configs", config.relabel_configs, out);
  EmitRules("alert_relabel_configs", config.alert_relabel_configs, out);
  discovery::EmitConfigs(config.discovery, out);
  out->EndMap();
}

}  // namespace

absl::Status Decode(const yaml::Node& node, relabel::NameValidation validation,
                    AlertingConfig* config) {
  yaml::Decoder d(node);
  DecodeRules(d, "alert_relabel_configs", validation,
              &config->alert_relabel_configs);
  if (const yaml::Node* list = d.Take("alertmanagers");
      list != nullptr && !list->is_null()) {
    if (!list->is_sequence()) d.Fail(list->Error("expected a list"));
    for (const auto& item : list->items()) {
      AlertmanagerConfig alertmanager;
      d.Fail(item->is_null() ? item->Error("empty or null Alertmanager section")
                             : Decode(*item, validation, &alertmanager));
      config->alertmanagers.push_back(std::move(alertmanager));
    }
  }
  return d.Done();
}

void Emit(const AlertingConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  EmitRules("alert_relabel_configs", config.alert_relabel_configs, out);
  if (!config.alertmanagers.empty()) {
    out->Key("alertmanagers").BeginSequence();
    for (const auto& alertmanager : config.alertmanagers) {
      Emit(alertmanager, out);
    }
    out->EndSequence();
  }
  out->EndMap();
}

void SetDirectory(const std::string& directory, AlertingConfig* config) {
  for (AlertmanagerConfig& alertmanager : config->alertmanagers) {
    SetDirectory(directory, &alertmanager.http);
    SetDirectory(directory, &alertmanager.discovery);
  }
}

}  // namespace narthex::config
