#pragma once

#include <memory>

#include "libs/discovery/aws_api.h"
#include "libs/discovery/provider.h"

namespace narthex::discovery {

/// One entry of elasticache_sd_configs.
struct ElastiCacheConfig : AwsClustersConfig {
  friend bool operator==(const ElastiCacheConfig&,
                         const ElastiCacheConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, ElastiCacheConfig* config);
void Emit(const ElastiCacheConfig& config, yaml::Emitter* out);
std::unique_ptr<Provider> MakeProvider(const ElastiCacheConfig& config,
                                       const ProviderContext& context);

}  // namespace narthex::discovery
