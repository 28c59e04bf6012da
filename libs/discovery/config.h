#pragma once

#include <map>
#include <string>
#include <vector>

#include "libs/discovery/provider_config.h"
#include "libs/discovery/target_group.h"
#include "libs/yaml/decoder.h"
#include "libs/yaml/emitter.h"

namespace narthex::discovery {

/// The discovery parts of a scrape config or of an alertmanager config.
struct Configs {
  std::vector<TargetGroup> static_groups;  // Sources are "0", "1", ...
  /// By the kind's name ("file"); lists that are not empty.
  std::map<std::string, std::vector<ProviderConfig>> providers;

  friend bool operator==(const Configs&, const Configs&) = default;
};

/// Takes static_configs and all lists of kinds.h out of the map that `d`
/// reads.
void DecodeConfigs(yaml::Decoder& d, Configs* configs);
/// Prints the fields into the open map, sorted by name.
void EmitConfigs(const Configs& configs, yaml::Emitter* out);
/// Makes relative paths begin at `directory`.
void SetDirectory(const std::string& directory, Configs* configs);

}  // namespace narthex::discovery
