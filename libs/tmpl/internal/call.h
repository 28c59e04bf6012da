#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/tmpl/value.h"

namespace narthex::tmpl::internal {

/// Checks count and kinds of `*args` against a Function's signature and turns
/// integers into the floats or durations that are wanted. The first
/// `receiver_count` do not count as given by the template.
absl::Status CheckArguments(absl::string_view name,
                            const std::string& signature,
                            std::size_t receiver_count,
                            std::vector<Value>* args);

/// The method of a value, null when it has none of that name.
const Function* FindMethod(const Value& receiver, absl::string_view name);

}  // namespace narthex::tmpl::internal
