#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/tmpl/value.h"

namespace narthex::tmpl {

/// `time` written after a Go layout, the reference time
/// "Mon Jan 2 15:04:05 MST 2006" in any arrangement.
std::string FormatTime(const Time& time, absl::string_view layout);

/// Reads `text` after a Go layout; what the layout does not name is zero, the
/// zone UTC. kInvalidArgument with Go's wording.
absl::StatusOr<Time> ParseTime(absl::string_view layout,
                               absl::string_view text);

/// As Go prints a time: "2026-01-02 03:04:05.678 +0000 UTC".
std::string TimeString(const Time& time);

/// The methods of time.Time and time.Duration that templates may call; the
/// receiver is the first argument.
const FuncMap& TimeMethods();
const FuncMap& DurationMethods();

}  // namespace narthex::tmpl
