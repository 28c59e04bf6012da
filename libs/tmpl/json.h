#pragma once

#include <string>

#include "libs/tmpl/value.h"

namespace narthex::tmpl {

/// `value` as Go's encoding/json writes it: sorted keys, times in RFC 3339,
/// < > & escaped. kInvalidArgument for NaN and infinities.
absl::StatusOr<std::string> ToJson(const Value& value);

}  // namespace narthex::tmpl
