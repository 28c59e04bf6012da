#pragma once

#include "libs/promql/range_functions.h"

/// The range functions that measure how values go up and down: rate() and its
/// kin. Each gives the value of one window, or Absent().
namespace narthex::promql {

enum class RateKind { kRate, kIncrease, kDelta };

/// Extrapolates to the edges of the range; under `anchored` or `smoothed` takes
/// or interpolates the values at the edges instead.
double RateOf(RateKind kind, const RangeWindow& window, RangeContext& context);

/// irate(), idelta(): of the last two samples.
double InstantChange(bool per_second, const RangeWindow& window);

/// The samples of an `anchored` or `smoothed` range at one step, with values at
/// both of its edges.
model::SampleColumns CutAtEdges(const model::SampleColumns& samples,
                                const RangeGeometry& geometry);

double CountChanges(const RangeWindow& window, const RangeContext& context);
double CountResets(const RangeWindow& window, const RangeContext& context);

}  // namespace narthex::promql
