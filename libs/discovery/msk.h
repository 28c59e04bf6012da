#pragma once

#include <memory>

#include "libs/discovery/aws_api.h"
#include "libs/discovery/provider.h"

namespace narthex::discovery {

/// One entry of msk_sd_configs.
struct MskConfig : AwsClustersConfig {
  friend bool operator==(const MskConfig&, const MskConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, MskConfig* config);
void Emit(const MskConfig& config, yaml::Emitter* out);
std::unique_ptr<Provider> MakeProvider(const MskConfig& config,
                                       const ProviderContext& context);

}  // namespace narthex::discovery
