#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/tmpl/value.h"

namespace narthex::tmpl::internal {

/// Whether a function of this signature takes `size` arguments; the first
/// `receiver_count` do not count as given by the template.
absl::Status CheckCount(absl::string_view name, const std::string& signature,
                        std::size_t receiver_count, std::size_t size);

/// An argument of the wrong kind.
struct Mismatch {
  std::size_t index = 0;
  absl::string_view wanted;  ///< The name of the Go type.
};

/// The first of `*args` that does not fit the signature, whose count is right.
/// Turns integers into the floats or durations that are wanted.
std::optional<Mismatch> FindMismatch(const std::string& signature,
                                     std::vector<Value>* args);

/// The method of a value, null when it has none of that name.
const Function* FindMethod(const Value& receiver, absl::string_view name);

}  // namespace narthex::tmpl::internal
