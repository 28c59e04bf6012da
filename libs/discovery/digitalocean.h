#pragma once

#include <memory>
#include <string>

#include "libs/discovery/polled_api.h"
#include "libs/yaml/node.h"

namespace narthex::discovery {

/// One entry of digitalocean_sd_configs.
struct DigitalOceanConfig : PolledApiConfig {
  /// "droplets" or "databases".
  std::string role = "droplets";
  /// Only tests have another.
  std::string endpoint = "https://api.digitalocean.com";

  friend bool operator==(const DigitalOceanConfig&,
                         const DigitalOceanConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, DigitalOceanConfig* config);
void Emit(const DigitalOceanConfig& config, yaml::Emitter* out);
std::unique_ptr<Provider> MakeProvider(const DigitalOceanConfig& config,
                                       const ProviderContext& context);

}  // namespace narthex::discovery
