#pragma once

#include <memory>

#include "libs/discovery/aws_api.h"
#include "libs/discovery/provider.h"

namespace narthex::discovery {

/// One entry of lightsail_sd_configs.
struct LightsailConfig : AwsApiConfig {
  friend bool operator==(const LightsailConfig&,
                         const LightsailConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, LightsailConfig* config);
void Emit(const LightsailConfig& config, yaml::Emitter* out);
std::unique_ptr<Provider> MakeProvider(const LightsailConfig& config,
                                       const ProviderContext& context);

}  // namespace narthex::discovery
