#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "services/alertmanager/alert.h"

namespace narthex::alertmanager {

/// The alerts of a POST body as they were sent: no times filled in, empty
/// labels left out. kInvalidArgument for a body that is not of the form of
/// the API; made by FormError() where the API has a code for it.
absl::Status ParseAlerts(absl::string_view body, std::vector<Alert>* alerts);

/// Fills in the times that were not given.
void CompleteTimes(std::int64_t now_ms, std::int64_t resolve_timeout_ms,
                   Alert* alert);

/// Whether an alert can be taken. kInvalidArgument with the reason.
absl::Status ValidateAlert(const Alert& alert);

/// An RFC 3339 time in milliseconds; kNoTime for the zero time. False when
/// malformed.
bool ParseApiTime(absl::string_view text, std::int64_t* ms);

}  // namespace narthex::alertmanager
