#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace narthex::http {

/// kInvalidArgument, with Go's reason, for what Go's net/url does not parse:
/// what Prometheus refuses in its configuration.
absl::Status CheckUrl(absl::string_view url);

}  // namespace narthex::http
