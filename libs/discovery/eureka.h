#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/discovery/provider.h"
#include "libs/http/client_config.h"
#include "libs/yaml/emitter.h"
#include "libs/yaml/node.h"

namespace narthex::discovery {

/// One entry of eureka_sd_configs: the instances of all applications that a
/// Eureka server knows.
struct EurekaConfig {
  std::string server;
  http::ClientConfig client;
  std::int64_t refresh_interval_ms = 30 * 1000;

  friend bool operator==(const EurekaConfig&, const EurekaConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, EurekaConfig* config);
void Emit(const EurekaConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, EurekaConfig* config);
std::unique_ptr<Provider> MakeProvider(const EurekaConfig& config,
                                       const ProviderContext& context);

/// Reads the answer to GET /apps, which is XML.
absl::StatusOr<TargetGroup> ParseEurekaApps(const std::string& xml);

}  // namespace narthex::discovery
