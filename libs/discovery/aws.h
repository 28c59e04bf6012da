#pragma once

#include <memory>
#include <string>
#include <vector>

#include "libs/discovery/aws_api.h"
#include "libs/discovery/provider.h"

namespace narthex::discovery {

/// One entry of aws_sd_configs: another mechanism by its role.
struct AwsConfig : AwsApiConfig {
  AwsConfig() { port = 0; }  // Of the role.

  /// "ec2", "ecs", "elasticache", "lightsail", "msk" or "rds".
  std::string role;
  /// Of ec2 and rds.
  std::vector<AwsFilter> filters;
  /// Of ecs, elasticache, msk and rds.
  std::vector<std::string> clusters;

  friend bool operator==(const AwsConfig&, const AwsConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, AwsConfig* config);
void Emit(const AwsConfig& config, yaml::Emitter* out);
std::unique_ptr<Provider> MakeProvider(const AwsConfig& config,
                                       const ProviderContext& context);

}  // namespace narthex::discovery
