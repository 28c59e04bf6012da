#pragma once

#include "absl/strings/string_view.h"
#include "libs/tmpl/value.h"

namespace narthex::tmpl::internal {

/// The functions of the language itself; `and` and `or` are among the names
/// but belong to the executor, which need not evaluate all their arguments.
const FuncMap& Builtins();
bool IsBuiltin(absl::string_view name);

/// Text for use inside a JavaScript string.
std::string EscapeJs(absl::string_view text);

}  // namespace narthex::tmpl::internal
