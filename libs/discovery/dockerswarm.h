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

/// One entry of dockerswarm_sd_configs, asked from a manager of the swarm.
struct DockerSwarmConfig {
  http::ClientConfig client;
  std::string host;
  /// "services": a target for each virtual address and published TCP port.
  /// "nodes": one for each node.
  /// "tasks": one for each published TCP port and each network address.
  std::string role;
  /// Of nodes, and of services and tasks that publish no port.
  int port = 80;
  /// Of what the role lists.
  std::vector<DockerFilter> filters;
  std::int64_t refresh_interval_ms = 60 * 1000;

  friend bool operator==(const DockerSwarmConfig&,
                         const DockerSwarmConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, DockerSwarmConfig* config);
void Emit(const DockerSwarmConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, DockerSwarmConfig* config);
std::unique_ptr<Provider> MakeProvider(const DockerSwarmConfig& config,
                                       const ProviderContext& context);

}  // namespace narthex::discovery
