#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "libs/discovery/provider.h"
#include "libs/http/client_config.h"
#include "libs/yaml/emitter.h"
#include "libs/yaml/node.h"

namespace narthex::discovery {

/// One entry of nomad_sd_configs: the instances of all services that are
/// registered in Nomad itself.
struct NomadConfig {
  bool allow_stale = true;
  http::ClientConfig client;
  std::string nomad_namespace = "default";
  std::int64_t refresh_interval_ms = 60 * 1000;
  std::string region = "global";
  std::string server = "http://localhost:4646";
  std::string tag_separator = ",";

  friend bool operator==(const NomadConfig&, const NomadConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, NomadConfig* config);
void Emit(const NomadConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, NomadConfig* config);
std::unique_ptr<Provider> MakeProvider(const NomadConfig& config,
                                       const ProviderContext& context);

}  // namespace narthex::discovery
