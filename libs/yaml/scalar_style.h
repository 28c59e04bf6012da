#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace narthex::yaml::internal {

/// Appends `text` to `*out` as a scalar in the style Go's yaml.v2 picks for a
/// string: plain if that reads back as the same text, else literal (more than
/// one line), single or double quotes. `indent` is the column of continuation
/// lines; a key is never folded.
void AppendScalar(absl::string_view text, int indent, bool is_key,
                  std::string* out);

/// The same between the brackets of a list on one line.
void AppendFlowScalar(absl::string_view text, std::string* out);

}  // namespace narthex::yaml::internal
