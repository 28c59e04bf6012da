#pragma once

#include <cstdint>

#include "libs/model/labels.h"

namespace narthex::model {

/// An example of what was observed, with labels of its own: the trace behind
/// an observation, for one.
struct Exemplar {
  Labels labels;
  double value = 0;
  std::int64_t timestamp_ms = 0;
};

}  // namespace narthex::model
