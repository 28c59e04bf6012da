#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace narthex::model {

/// Undoes Prometheus's escaping of UTF-8 names for where only legacy ones may
/// stand, such as paths: "U__a_2e_b" is "a.b", "__" in it one underscore. A
/// name that does not follow the form stands for itself.
std::string UnescapeName(absl::string_view name);

}  // namespace narthex::model
