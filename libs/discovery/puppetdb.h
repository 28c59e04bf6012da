#pragma once

#include <memory>
#include <string>

#include "libs/discovery/polled_api.h"
#include "libs/yaml/node.h"

namespace narthex::discovery {

/// One entry of puppetdb_sd_configs: the resources that a query finds.
struct PuppetDbConfig : PolledApiConfig {
  std::string url;
  /// In PQL.
  std::string query;
  /// Whether labels tell the parameters of resources, which may be secrets.
  bool include_parameters = false;

  friend bool operator==(const PuppetDbConfig&,
                         const PuppetDbConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, PuppetDbConfig* config);
void Emit(const PuppetDbConfig& config, yaml::Emitter* out);
std::unique_ptr<Provider> MakeProvider(const PuppetDbConfig& config,
                                       const ProviderContext& context);

}  // namespace narthex::discovery
