#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libs/discovery/config.h"
#include "libs/http/client_config.h"
#include "libs/relabel/relabel.h"

namespace narthex::config {

/// How to find and reach a set of alertmanagers.
struct AlertmanagerConfig {
  std::string scheme = "http";
  std::string path_prefix;
  std::int64_t timeout_ms = 10'000;
  std::string api_version = "v2";
  http::ClientConfig http;
  discovery::Configs discovery;
  /// Of the alertmanagers found / of the alerts sent to them.
  std::vector<relabel::Rule> relabel_configs;
  std::vector<relabel::Rule> alert_relabel_configs;
  friend bool operator==(const AlertmanagerConfig&,
                         const AlertmanagerConfig&) = default;
};

struct AlertingConfig {
  std::vector<relabel::Rule> alert_relabel_configs;
  std::vector<AlertmanagerConfig> alertmanagers;
  friend bool operator==(const AlertingConfig&,
                         const AlertingConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, relabel::NameValidation validation,
                    AlertingConfig* config);
void Emit(const AlertingConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, AlertingConfig* config);

}  // namespace narthex::config
