#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/discovery/provider.h"
#include "libs/http/client_config.h"
#include "libs/yaml/emitter.h"
#include "libs/yaml/node.h"

namespace narthex::discovery {

/// One entry of marathon_sd_configs: the tasks of all applications.
struct MarathonConfig {
  /// Asked in turn.
  std::vector<std::string> servers;
  std::int64_t refresh_interval_ms = 30 * 1000;
  /// For DC/OS, which wants a header of its own form.
  std::string auth_token;
  std::string auth_token_file;
  http::ClientConfig client;

  friend bool operator==(const MarathonConfig&,
                         const MarathonConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, MarathonConfig* config);
void Emit(const MarathonConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, MarathonConfig* config);
std::unique_ptr<Provider> MakeProvider(const MarathonConfig& config,
                                       const ProviderContext& context);

/// Reads the answer to GET /v2/apps: a group for each application.
absl::StatusOr<std::vector<TargetGroup>> ParseMarathonApps(
    const std::string& json);

}  // namespace narthex::discovery
