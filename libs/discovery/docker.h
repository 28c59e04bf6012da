#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "libs/discovery/docker_filter.h"
#include "libs/discovery/provider.h"
#include "libs/http/client_config.h"
#include "libs/yaml/emitter.h"
#include "libs/yaml/node.h"

namespace narthex::discovery {

/// One entry of docker_sd_configs: the containers of one daemon, a target for
/// each of their TCP ports in each of their networks.
struct DockerConfig {
  http::ClientConfig client;
  std::string host;
  /// Of containers that expose none.
  int port = 80;
  std::vector<DockerFilter> filters;
  /// The address of containers in the host's network.
  std::string host_networking_host = "localhost";
  std::int64_t refresh_interval_ms = 60 * 1000;
  /// Only the first network by name.
  bool match_first_network = true;

  friend bool operator==(const DockerConfig&, const DockerConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, DockerConfig* config);
void Emit(const DockerConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, DockerConfig* config);
std::unique_ptr<Provider> MakeProvider(const DockerConfig& config,
                                       const ProviderContext& context);

}  // namespace narthex::discovery
