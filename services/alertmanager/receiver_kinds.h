#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/yaml/node.h"
#include "services/alertmanager/config.h"

namespace narthex::alertmanager {

/// What is known of an integration: enough to tell a good configuration of it
/// from a bad one.
struct ReceiverKind {
  /// "slack": the field of a receiver is slack_configs.
  absl::string_view name;
  /// Its fields; a suffix tells the shape: "[]" a list, "{}" a map.
  std::vector<absl::string_view> fields;
  /// Names that must be given, here or in `global` under the name after '|'.
  /// Several joined by '/' are alternatives of which at most one may be given
  /// in one place.
  std::vector<absl::string_view> required;
};

/// All kinds but webhook.
const std::vector<ReceiverKind>& ReceiverKinds();

/// Checks one entry of `<kind>_configs`: fields, shapes, and what must be
/// given. kInvalidArgument with file, line and field.
absl::Status CheckReceiverKind(const ReceiverKind& kind, const yaml::Node& node,
                               const GlobalConfig& global);

/// Names of fields of `global` besides resolve_timeout and http_config, with
/// the suffixes of ReceiverKind::fields.
const std::vector<absl::string_view>& GlobalReceiverFields();

/// Sets of fields of `global` of which at most one may be given.
const std::vector<std::vector<absl::string_view>>& GlobalAlternatives();

}  // namespace narthex::alertmanager
