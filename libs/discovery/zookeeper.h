#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/discovery/provider.h"
#include "libs/yaml/emitter.h"
#include "libs/yaml/node.h"

namespace narthex::discovery {

/// What both kinds that read ZooKeeper are told.
struct ZookeeperConfig {
  std::vector<std::string> servers;
  /// All nodes below them count.
  std::vector<std::string> paths;
  /// Of the session.
  std::int64_t timeout_ms = 10 * 1000;

  friend bool operator==(const ZookeeperConfig&,
                         const ZookeeperConfig&) = default;
};

/// One entry of serverset_sd_configs: members as Twitter's Finagle registers
/// them.
struct ServersetConfig : ZookeeperConfig {};
/// One entry of nerve_sd_configs: members as Airbnb's Nerve registers them.
struct NerveConfig : ZookeeperConfig {};

absl::Status Decode(const yaml::Node& node, ServersetConfig* config);
absl::Status Decode(const yaml::Node& node, NerveConfig* config);
void Emit(const ZookeeperConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, ZookeeperConfig* config);
std::unique_ptr<Provider> MakeProvider(const ServersetConfig& config,
                                       const ProviderContext& context);
std::unique_ptr<Provider> MakeProvider(const NerveConfig& config,
                                       const ProviderContext& context);

/// The target that a node's data describes. kInvalidArgument for other data.
absl::StatusOr<model::Labels> ParseServersetMember(const std::string& data,
                                                   const std::string& path);
absl::StatusOr<model::Labels> ParseNerveMember(const std::string& data,
                                               const std::string& path);

}  // namespace narthex::discovery
