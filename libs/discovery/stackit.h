#pragma once

#include <memory>
#include <string>

#include "libs/discovery/polled_api.h"
#include "libs/yaml/node.h"

namespace narthex::discovery {

/// One entry of stackit_sd_configs. With a service account key, requests
/// carry its tokens; else what the client's configuration says.
struct StackitConfig : PolledApiConfig {
  std::string project;
  std::string region = "eu01";
  /// Empty: that of the region.
  std::string endpoint;
  /// JSON. Its own private key is used when there is none here.
  std::string service_account_key;
  std::string private_key;
  std::string service_account_key_path;
  std::string private_key_path;
  std::string credentials_file_path;

  friend bool operator==(const StackitConfig&, const StackitConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, StackitConfig* config);
void Emit(const StackitConfig& config, yaml::Emitter* out);
std::unique_ptr<Provider> MakeProvider(const StackitConfig& config,
                                       const ProviderContext& context);

}  // namespace narthex::discovery
