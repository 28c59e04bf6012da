#pragma once

#include <memory>
#include <string>

#include "libs/discovery/polled_api.h"
#include "libs/yaml/node.h"

namespace narthex::discovery {

/// One entry of vultr_sd_configs.
struct VultrConfig : PolledApiConfig {
  /// Only tests have another.
  std::string endpoint = "https://api.vultr.com";

  friend bool operator==(const VultrConfig&, const VultrConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, VultrConfig* config);
void Emit(const VultrConfig& config, yaml::Emitter* out);
std::unique_ptr<Provider> MakeProvider(const VultrConfig& config,
                                       const ProviderContext& context);

}  // namespace narthex::discovery
