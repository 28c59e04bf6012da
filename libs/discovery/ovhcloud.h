#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "libs/discovery/provider.h"
#include "libs/yaml/decoder.h"
#include "libs/yaml/emitter.h"

namespace narthex::discovery {

/// One entry of ovhcloud_sd_configs.
struct OvhCloudConfig {
  /// The name of one of OVH's APIs, or a URL.
  std::string endpoint = "ovh-eu";
  std::string application_key;
  std::string application_secret;
  std::string consumer_key;
  std::int64_t refresh_interval_ms = 60 * 1000;
  /// "vps" or "dedicated_server".
  std::string service;

  friend bool operator==(const OvhCloudConfig&,
                         const OvhCloudConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, OvhCloudConfig* config);
void Emit(const OvhCloudConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, OvhCloudConfig* config);
std::unique_ptr<Provider> MakeProvider(const OvhCloudConfig& config,
                                       const ProviderContext& context);

}  // namespace narthex::discovery
