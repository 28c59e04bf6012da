#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/discovery/target_group.h"
#include "libs/yaml/decoder.h"
#include "libs/yaml/emitter.h"

namespace narthex::discovery {

/// One entry of file_sd_configs.
struct FileConfig {
  /// Paths ending in .json, .yml or .yaml, with at most one "*", in the last
  /// part.
  std::vector<std::string> files;
  std::int64_t refresh_interval_ms = 5 * 60 * 1000;

  friend bool operator==(const FileConfig&, const FileConfig&) = default;
};

/// The discovery parts of a scrape config or of an alertmanager config.
struct Configs {
  std::vector<TargetGroup> static_groups;  // Sources are "0", "1", ...
  std::vector<FileConfig> files;

  friend bool operator==(const Configs&, const Configs&) = default;
};

/// Takes static_configs and file_sd_configs out of the map that `d` reads. A
/// kind of discovery that Prometheus knows and we do not is an error saying
/// "known to Prometheus, not supported yet".
void DecodeConfigs(yaml::Decoder& d, Configs* configs);
/// Prints the same fields into the open map.
void EmitConfigs(const Configs& configs, yaml::Emitter* out);

}  // namespace narthex::discovery
