#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace narthex::base {

/// `text` for use in the query of a URL, as Go's url.QueryEscape: a space is
/// "+".
std::string EscapeUrlQuery(absl::string_view text);

}  // namespace narthex::base
