#pragma once

#include <cstddef>

#include "libs/tsdb/bits.h"

namespace narthex::tsdb {

/// Writes the `count` values (at least one), of which the bits hold all changes
/// as XorCode writes them, to `out`. The first value is not written: it follows
/// from the last one.
void DecodeXorValues(const BitReader& bits, std::size_t count, double last,
                     double* out);

}  // namespace narthex::tsdb
