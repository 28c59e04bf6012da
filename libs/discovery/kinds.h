#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "libs/discovery/provider_config.h"
#include "libs/yaml/node.h"

namespace narthex::discovery {

/// A mechanism of discovery.
struct Kind {
  /// As in "<name>_sd_configs".
  const char* name;
  /// Reads one entry of the list.
  absl::StatusOr<ProviderConfig> (*decode)(const yaml::Node& node);
};

/// All kinds of Prometheus that are listed in "<name>_sd_configs".
const std::vector<Kind>& Kinds();

}  // namespace narthex::discovery
