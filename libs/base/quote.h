#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace narthex::base {

/// Go's strconv.Quote: double quotes, escapes for control characters and
/// invalid UTF-8, printable Unicode left as it is.
std::string Quote(absl::string_view text);

/// Undoes Go quoting with ' " or ` around the text, as PromQL strings use it.
/// kInvalidArgument when malformed.
absl::StatusOr<std::string> Unquote(absl::string_view quoted);

/// Whether `text` is valid UTF-8 (no surrogates, no overlong forms).
bool IsValidUtf8(absl::string_view text);

}  // namespace narthex::base
