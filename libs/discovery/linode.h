#pragma once

#include <memory>
#include <string>

#include "libs/discovery/polled_api.h"
#include "libs/yaml/node.h"

namespace narthex::discovery {

/// One entry of linode_sd_configs.
struct LinodeConfig : PolledApiConfig {
  std::string tag_separator = ",";
  /// Empty: all.
  std::string region;
  /// Only tests have another.
  std::string endpoint = "https://api.linode.com";

  friend bool operator==(const LinodeConfig&, const LinodeConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, LinodeConfig* config);
void Emit(const LinodeConfig& config, yaml::Emitter* out);
std::unique_ptr<Provider> MakeProvider(const LinodeConfig& config,
                                       const ProviderContext& context);

}  // namespace narthex::discovery
