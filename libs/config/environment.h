#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace narthex::config {

/// Replaces $name and ${name} by the environment's values, $$ by a dollar
/// sign. Names that are not set, or empty, become nothing and are added to
/// `*empty`.
std::string ExpandEnvironment(absl::string_view text,
                              std::vector<std::string>* empty);

}  // namespace narthex::config
