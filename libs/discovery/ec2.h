#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/discovery/provider.h"
#include "libs/http/client_config.h"
#include "libs/yaml/decoder.h"
#include "libs/yaml/emitter.h"

namespace narthex::discovery {

/// Which instances to ask for, in the words of the EC2 API.
struct Ec2Filter {
  std::string name;
  std::vector<std::string> values;
  friend bool operator==(const Ec2Filter&, const Ec2Filter&) = default;
};

/// One entry of ec2_sd_configs.
struct Ec2Config {
  /// Empty: AWS's own for the region.
  std::string endpoint;
  /// Empty: found out at the first refresh.
  std::string region;
  std::string access_key;
  std::string secret_key;
  std::string profile;
  std::string role_arn;
  std::string external_id;
  std::int64_t refresh_interval_ms = 60 * 1000;
  int port = 80;
  std::vector<Ec2Filter> filters;
  http::ClientConfig client;

  friend bool operator==(const Ec2Config&, const Ec2Config&) = default;
};

absl::Status Decode(const yaml::Node& node, Ec2Filter* filter);
absl::Status Decode(const yaml::Node& node, Ec2Config* config);
void Emit(const Ec2Config& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, Ec2Config* config);
std::unique_ptr<Provider> MakeProvider(const Ec2Config& config,
                                       const ProviderContext& context);

/// The same with other places for STS and instance metadata, for tests.
std::unique_ptr<Provider> MakeEc2Provider(const Ec2Config& config,
                                          const ProviderContext& context,
                                          const std::string& sts_endpoint,
                                          const std::string& metadata_endpoint);

}  // namespace narthex::discovery
