#pragma once

#include <memory>
#include <string>

#include "libs/discovery/polled_api.h"
#include "libs/yaml/node.h"

namespace narthex::discovery {

/// One entry of hetzner_sd_configs.
struct HetznerConfig : PolledApiConfig {
  /// "hcloud" (virtual machines) or "robot" (dedicated ones).
  std::string role;
  /// Of hcloud, in its own terms.
  std::string label_selector;
  /// Only tests have others.
  std::string cloud_endpoint = "https://api.hetzner.cloud/v1";
  std::string robot_endpoint = "https://robot-ws.your-server.de";

  friend bool operator==(const HetznerConfig&, const HetznerConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, HetznerConfig* config);
void Emit(const HetznerConfig& config, yaml::Emitter* out);
std::unique_ptr<Provider> MakeProvider(const HetznerConfig& config,
                                       const ProviderContext& context);

}  // namespace narthex::discovery
