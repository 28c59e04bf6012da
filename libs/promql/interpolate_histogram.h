#pragma once

#include <cstdint>
#include <vector>

#include "libs/model/sample.h"
#include "libs/promql/annotations.h"
#include "libs/promql/column.h"

namespace narthex::promql {

struct HistogramPoint {
  std::int64_t time_ms = 0;
  model::HistogramPtr histogram;
};

/// The histogram at `time_ms` on the line between two points; of a counter that
/// began anew between them, on the line from nothing. Null when their layouts
/// are incompatible.
model::HistogramPtr InterpolateHistogram(const HistogramPoint& before,
                                         const HistogramPoint& after,
                                         std::int64_t time_ms, bool is_counter,
                                         PositionRange position,
                                         Annotations* annotations);

/// Where a `smoothed` instant selector looks, and how it is annotated.
struct SmoothedLook {
  std::int64_t first_ms = 0;
  std::int64_t step_ms = 0;
  std::int64_t lookback_ms = 0;
  PositionRange position;
};

/// The values of a `smoothed` selector for a series that has histograms. A step
/// that sees both kinds of samples has none, but a warning.
void TakeSmoothedHistograms(const model::SampleColumns& samples,
                            const SmoothedLook& look,
                            absl::string_view metric_name,
                            Annotations* annotations, Column* out);

}  // namespace narthex::promql
