#pragma once

#include <memory>
#include <string>
#include <vector>

#include "libs/discovery/polled_api.h"
#include "libs/yaml/node.h"

namespace narthex::discovery {

/// One entry of scaleway_sd_configs: the machines of one zone.
struct ScalewayConfig : PolledApiConfig {
  std::string project_id;
  std::string api_url = "https://api.scaleway.com";
  std::string zone = "fr-par-1";
  std::string access_key;
  std::string secret_key;
  std::string secret_key_file;
  std::string name_filter;
  std::vector<std::string> tags_filter;
  /// "instance" or "baremetal".
  std::string role;

  friend bool operator==(const ScalewayConfig&,
                         const ScalewayConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, ScalewayConfig* config);
void Emit(const ScalewayConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, ScalewayConfig* config);
std::unique_ptr<Provider> MakeProvider(const ScalewayConfig& config,
                                       const ProviderContext& context);

}  // namespace narthex::discovery
