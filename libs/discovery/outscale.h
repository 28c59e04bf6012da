#pragma once

#include <memory>
#include <string>

#include "libs/discovery/polled_api.h"
#include "libs/yaml/node.h"

namespace narthex::discovery {

/// One entry of outscale_sd_configs.
struct OutscaleConfig : PolledApiConfig {
  /// Set from the region when the configuration has none.
  std::string endpoint;
  std::string region = "eu-west-2";
  std::string access_key;
  /// One of the two is set.
  std::string secret_key;
  std::string secret_key_file;

  friend bool operator==(const OutscaleConfig&,
                         const OutscaleConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, OutscaleConfig* config);
void Emit(const OutscaleConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, OutscaleConfig* config);
std::unique_ptr<Provider> MakeProvider(const OutscaleConfig& config,
                                       const ProviderContext& context);

}  // namespace narthex::discovery
