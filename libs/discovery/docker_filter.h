#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/yaml/decoder.h"
#include "libs/yaml/emitter.h"

namespace narthex::discovery {

/// One entry of `filters`, in Docker's own terms.
struct DockerFilter {
  std::string name;
  std::vector<std::string> values;
  friend bool operator==(const DockerFilter&, const DockerFilter&) = default;
};

absl::Status Decode(const yaml::Node& node, DockerFilter* filter);
void EmitFilters(const std::vector<DockerFilter>& filters, yaml::Emitter* out);
/// Takes `host`, which is required.
void DecodeDockerHost(yaml::Decoder& d, std::string* host);

}  // namespace narthex::discovery
