#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/discovery/aws_api.h"
#include "libs/discovery/provider.h"

namespace narthex::discovery {

/// Of the EC2 API.
inline constexpr char kEc2Version[] = "2016-11-15";

/// One entry of ec2_sd_configs.
struct Ec2Config : AwsApiConfig {
  std::vector<AwsFilter> filters;

  friend bool operator==(const Ec2Config&, const Ec2Config&) = default;
};

absl::Status Decode(const yaml::Node& node, Ec2Config* config);
void Emit(const Ec2Config& config, yaml::Emitter* out);
std::unique_ptr<Provider> MakeProvider(const Ec2Config& config,
                                       const ProviderContext& context);

/// The same with other places for STS and instance metadata, for tests.
std::unique_ptr<Provider> MakeEc2Provider(const Ec2Config& config,
                                          const ProviderContext& context,
                                          const std::string& sts_endpoint,
                                          const std::string& metadata_endpoint);

}  // namespace narthex::discovery
