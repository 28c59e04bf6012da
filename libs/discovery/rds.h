#pragma once

#include <memory>
#include <vector>

#include "libs/discovery/aws_api.h"
#include "libs/discovery/provider.h"

namespace narthex::discovery {

/// One entry of rds_sd_configs.
struct RdsConfig : AwsClustersConfig {
  std::vector<AwsFilter> filters;

  friend bool operator==(const RdsConfig&, const RdsConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, RdsConfig* config);
void Emit(const RdsConfig& config, yaml::Emitter* out);
std::unique_ptr<Provider> MakeProvider(const RdsConfig& config,
                                       const ProviderContext& context);

}  // namespace narthex::discovery
