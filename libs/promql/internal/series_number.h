#pragma once

#include <optional>

#include "absl/strings/string_view.h"

namespace narthex::promql::internal {

/// Takes a number with an optional sign, or "stale", off the front, as the
/// descriptions of series write them; none when there is none.
std::optional<double> TakeSeriesNumber(absl::string_view* text);

}  // namespace narthex::promql::internal
