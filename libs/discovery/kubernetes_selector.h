#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace narthex::discovery {

/// Whether `text` is a selector by labels as the Kubernetes API takes it:
/// requirements "a", "!a", "a=b", "a!=b", "a in (b,c)", "a>1", joined by
/// commas. kInvalidArgument otherwise; an empty one selects all.
absl::Status CheckLabelSelector(absl::string_view text);
/// The same for fields: "a=b", "a==b", "a!=b".
absl::Status CheckFieldSelector(absl::string_view text);

}  // namespace narthex::discovery
