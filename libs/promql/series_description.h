#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/model/histogram.h"
#include "libs/model/labels.h"

namespace narthex::promql {

/// One position of a described series.
struct SequenceValue {
  enum class Kind {
    kOmitted,    ///< No sample here.
    kFloat,      ///< `value`; may be the staleness marker.
    kHistogram,  ///< A native histogram.
  };
  Kind kind = Kind::kOmitted;
  double value = 0;
  model::HistogramPtr histogram = nullptr;
  /// Whether the counter reset of the histogram was written down.
  bool names_counter_reset = false;
};

/// A series as test scripts and rule unit tests write it down.
struct SeriesDescription {
  model::Labels labels;
  std::vector<SequenceValue> values;
};

/// Parses `metric{a="b"} 1 2 _ 3x4 0+10x10 stale {{sum:1 count:2}}`: the series
/// and its values at regular intervals. kInvalidArgument naming what is not
/// understood.
absl::StatusOr<SeriesDescription> ParseSeriesDescription(
    absl::string_view text);

}  // namespace narthex::promql
