#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/tmpl/internal/ast.h"
#include "libs/tmpl/template.h"
#include "libs/tmpl/value.h"

namespace narthex::tmpl::internal {

/// Finds a template by name; null when there is none.
using FindTree = std::function<const Tree*(absl::string_view name)>;

/// Runs `tree` on `data`.
absl::StatusOr<std::string> Execute(const Tree& tree, const FindTree& find,
                                    const FuncMap& functions, const Value& data,
                                    const ExecuteOptions& options);

}  // namespace narthex::tmpl::internal
