#pragma once

#include "absl/strings/string_view.h"

namespace narthex::http {

/// Whether clients set a header of this name, in whatever case, themselves:
/// Prometheus refuses it among those that a configuration adds.
bool IsReservedHeader(absl::string_view name);

}  // namespace narthex::http
