#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/tmpl/internal/ast.h"
#include "libs/tmpl/value.h"

namespace narthex::tmpl::internal {

/// Parses a text into its own template, the first, and those it defines.
/// Functions must be in `functions` or built in, variables declared.
/// kInvalidArgument as "template: NAME:LINE: reason".
absl::StatusOr<std::vector<Tree>> Parse(absl::string_view name,
                                        absl::string_view text,
                                        const FuncMap& functions);

}  // namespace narthex::tmpl::internal
