#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace narthex::base {

/// Shortest decimal without exponent that reads back as `value`, as Go's
/// strconv.FormatFloat(v, 'f', -1, 64). Infinities are "+Inf" and "-Inf", every
/// NaN is "NaN".
std::string FormatFloat(double value);
/// The same, appended to `*out` without a temporary.
void AppendFloat(double value, std::string* out);

/// Shortest decimal with an exponent when that is below -4 or at least 6, as
/// Go's %v and 'g' with precision -1: the form in expositions ("1e+06").
std::string FormatFloatG(double value);

/// Reads a float as Go's strconv.ParseFloat: decimal, hexadecimal with a 'p'
/// exponent, "Inf", "+Inf", "infinity", "NaN", any case. Values too large for
/// a double are kInvalidArgument, as is anything left over.
absl::StatusOr<double> ParseFloat(absl::string_view text);

}  // namespace narthex::base
