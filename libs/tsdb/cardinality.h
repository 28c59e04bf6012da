#pragma once

#include <cstddef>

#include "libs/tsdb/db.h"
#include "libs/tsdb/head.h"

namespace narthex::tsdb {

/// What makes up the head, at most `limit` entries a list. Looks at the label
/// pairs some at a time: series come and go meanwhile, so that numbers may
/// belong to different moments.
Cardinality CardinalityOf(const Head& head, std::size_t limit);

}  // namespace narthex::tsdb
