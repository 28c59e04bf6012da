#pragma once

#include "absl/strings/string_view.h"

namespace narthex::alertmanager {

/// A page that shows alerts and silences and lets people silence; all it
/// shows comes from the API.
absl::string_view LandingPage();

}  // namespace narthex::alertmanager
