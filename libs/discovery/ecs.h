#pragma once

#include <memory>
#include <string>

#include "libs/discovery/aws_api.h"
#include "libs/discovery/provider.h"

namespace narthex::discovery {

/// One entry of ecs_sd_configs.
struct EcsConfig : AwsClustersConfig {
  EcsConfig() { request_concurrency = 20; }
  /// Of the API that tells about instances; only tests have another.
  std::string ec2_endpoint;

  friend bool operator==(const EcsConfig&, const EcsConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, EcsConfig* config);
void Emit(const EcsConfig& config, yaml::Emitter* out);
std::unique_ptr<Provider> MakeProvider(const EcsConfig& config,
                                       const ProviderContext& context);

}  // namespace narthex::discovery
