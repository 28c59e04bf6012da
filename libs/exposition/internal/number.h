#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace narthex::exposition::internal {

/// Reads the float that begins at `p` and ends before a blank, a newline or
/// `end`. Returns the position after it, null when it is malformed: Go's
/// syntax without hexadecimal forms and underscores. Every not-a-number gives
/// model::NormalNan().
const char* ParseNumber(const char* p, const char* end, double* value);

/// Reads decimal digits as milliseconds; null when there are none or they
/// exceed 63 bits.
const char* ParseMilliseconds(const char* p, const char* end,
                              std::int64_t* value);

}  // namespace narthex::exposition::internal
