#pragma once

#include "libs/tmpl/value.h"

namespace narthex::tmpl {

/// The functions that alert and notification templates share: toUpper,
/// toLower, match, reReplaceAll, safeHtml and humanizeDuration.
FuncMap TextFunctions();

/// Every word with a capital. With `lower_rest` the other letters are made
/// small and an apostrophe does not begin a word.
std::string Title(absl::string_view text, bool lower_rest);

}  // namespace narthex::tmpl
