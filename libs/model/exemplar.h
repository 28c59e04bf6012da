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
  /// The timestamp is its own. Else it is that of the sample with which it was
  /// exposed, and says nothing about which exemplar it is.
  bool has_timestamp = true;
};

}  // namespace narthex::model
