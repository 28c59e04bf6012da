#pragma once

#include <memory>
#include <string>
#include <vector>

#include "libs/discovery/polled_api.h"
#include "libs/yaml/node.h"

namespace narthex::discovery {

/// One entry of oci_sd_configs: instances of Oracle's cloud.
struct OciConfig : PolledApiConfig {
  /// "api_key", or "instance_principal" for the identity of the instance that
  /// we run on.
  std::string auth = "api_key";
  std::string tenancy;
  std::string user;
  std::string fingerprint;
  std::string key_file;
  std::string key_passphrase;
  std::string key_passphrase_file;
  std::string region;
  /// Empty: all below the tenancy.
  std::vector<std::string> compartments;
  /// Only tests have another place for all services.
  std::string endpoint;

  friend bool operator==(const OciConfig&, const OciConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, OciConfig* config);
void Emit(const OciConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, OciConfig* config);
std::unique_ptr<Provider> MakeProvider(const OciConfig& config,
                                       const ProviderContext& context);

}  // namespace narthex::discovery
