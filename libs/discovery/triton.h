#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "libs/discovery/provider.h"
#include "libs/http/client_config.h"
#include "libs/yaml/emitter.h"
#include "libs/yaml/node.h"

namespace narthex::discovery {

/// One entry of triton_sd_configs.
struct TritonConfig {
  std::string account;
  /// "container", or "cn" for the compute nodes.
  std::string role = "container";
  /// What follows a target's identity in its name.
  std::string dns_suffix;
  /// The host of the discovery service; it and the targets share the port.
  std::string endpoint;
  std::vector<std::string> groups;
  int port = 9163;
  std::int64_t refresh_interval_ms = 60 * 1000;
  http::TlsConfig tls;
  int version = 1;
  /// Only tests have another.
  std::string scheme = "https";

  friend bool operator==(const TritonConfig&, const TritonConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, TritonConfig* config);
void Emit(const TritonConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, TritonConfig* config);
std::unique_ptr<Provider> MakeProvider(const TritonConfig& config,
                                       const ProviderContext& context);

}  // namespace narthex::discovery
