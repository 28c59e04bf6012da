#pragma once

#include <memory>
#include <string>

#include "libs/discovery/polled_api.h"
#include "libs/yaml/node.h"

namespace narthex::discovery {

/// One entry of ionos_sd_configs: the servers of one data centre.
struct IonosConfig : PolledApiConfig {
  std::string datacenter_id;
  /// Only tests have another.
  std::string endpoint = "https://api.ionos.com";

  friend bool operator==(const IonosConfig&, const IonosConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, IonosConfig* config);
void Emit(const IonosConfig& config, yaml::Emitter* out);
std::unique_ptr<Provider> MakeProvider(const IonosConfig& config,
                                       const ProviderContext& context);

}  // namespace narthex::discovery
