#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/model/labels.h"
#include "libs/yaml/decoder.h"
#include "libs/yaml/emitter.h"

namespace narthex::discovery {

inline constexpr absl::string_view kAddressLabel = "__address__";

/// Targets that share labels, as one source names them.
struct TargetGroup {
  /// Each with at least __address__.
  std::vector<model::Labels> targets;
  /// Common to all targets; a target's own labels win.
  model::Labels labels;
  /// Unique among the groups of one provider.
  std::string source;

  friend bool operator==(const TargetGroup&, const TargetGroup&) = default;
};

/// Reads `{targets: [host:port], labels: {name: value}}`.
absl::Status Decode(const yaml::Node& node, TargetGroup* group);
void Emit(const TargetGroup& group, yaml::Emitter* out);

/// Reads a map of label names and values, names beyond the legacy set
/// included; kInvalidArgument for what is not UTF-8.
absl::Status DecodeLabels(const yaml::Node& node, model::Labels* labels);

}  // namespace narthex::discovery
