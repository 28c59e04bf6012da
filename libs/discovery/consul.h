#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libs/discovery/provider.h"
#include "libs/http/client_config.h"
#include "libs/yaml/emitter.h"
#include "libs/yaml/node.h"

namespace narthex::discovery {

/// One entry of consul_sd_configs: the instances of services in Consul's
/// catalogue.
struct ConsulConfig {
  std::string server = "localhost:8500";
  std::string path_prefix;
  std::string token;
  /// Empty: that of the agent.
  std::string datacenter;
  std::string consul_namespace;
  std::string partition;
  std::string tag_separator = ",";
  std::string scheme = "http";
  std::string username;
  std::string password;
  bool allow_stale = true;
  /// Least time between two questions of one kind; each waits up to two
  /// minutes for something new.
  std::int64_t refresh_interval_ms = 30 * 1000;
  /// Empty: all.
  std::vector<std::string> services;
  /// All of which a service must have.
  std::vector<std::string> tags;
  std::map<std::string, std::string> node_meta;
  /// Expressions for the catalogue and for the instances of a service.
  std::string filter;
  std::string health_filter;
  http::ClientConfig client;

  friend bool operator==(const ConsulConfig&, const ConsulConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, ConsulConfig* config);
void Emit(const ConsulConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, ConsulConfig* config);
std::unique_ptr<Provider> MakeProvider(const ConsulConfig& config,
                                       const ProviderContext& context);

}  // namespace narthex::discovery
