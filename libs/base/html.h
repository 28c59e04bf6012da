#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace narthex::base {

/// Text for use in HTML, between tags or in a quoted attribute, as Go's
/// html/template escapes it.
std::string EscapeHtml(absl::string_view text);

}  // namespace narthex::base
