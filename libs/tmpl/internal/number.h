#pragma once

#include <optional>

#include "absl/strings/string_view.h"
#include "libs/tmpl/value.h"

namespace narthex::tmpl::internal {

/// A Go number literal: an integer in any base (underscores allowed) or a
/// float. Nothing when malformed or too large.
std::optional<Value> ParseNumber(absl::string_view text);

/// A Go character literal, quotes included, as its code point.
std::optional<Value> ParseCharacter(absl::string_view text);

}  // namespace narthex::tmpl::internal
