#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "libs/tmpl/value.h"

namespace narthex::tmpl {

/// A number, or a string that reads as one. kInvalidArgument otherwise.
absl::StatusOr<double> ToNumber(const Value& value);

/// Four digits and a metric prefix: "1.235M".
std::string Humanize(double value);
/// The same with powers of 1024: "1.177Mi".
std::string Humanize1024(double value);
/// Seconds as "1d 2h 3m 4s", small ones with a prefix: "123.5ms".
std::string HumanizeDuration(double seconds);
/// A ratio as a percentage: "12.5%".
std::string HumanizePercentage(double ratio);
/// Unix seconds as a time in UTC, to the millisecond. kInvalidArgument when
/// its nanoseconds do not fit 64 bits.
absl::StatusOr<Time> SecondsToTime(double seconds);

}  // namespace narthex::tmpl
