#pragma once

#include <cstddef>
#include <cstdint>

#include "libs/promql/range_functions.h"

/// The range functions that measure how values go up and down: rate() and its
/// kin. Each gives the value of one window, or Absent().
namespace narthex::promql {

enum class RateKind { kRate, kIncrease, kDelta };

/// Extrapolates to the edges of the range; under `anchored` or `smoothed` takes
/// or interpolates the values at the edges instead.
double RateOf(RateKind kind, const RangeWindow& window, RangeContext& context);

/// The samples of a window and the range it is to cover.
struct Coverage {
  std::int64_t first_ms = 0;  ///< Of the first and last sample.
  std::int64_t last_ms = 0;
  std::size_t samples = 0;
  std::int64_t start_ms = 0;  ///< Of the range.
  std::int64_t end_ms = 0;
};

/// By how much a change between the first and last of at least two samples is
/// to be stretched so that it covers the range. Of counters `first` is the
/// value, or count, of the first sample and `change` that of the change.
double ExtrapolationFactor(const Coverage& coverage, bool is_counter,
                           double first, double change);
/// The same of a counter that is known to have begun at `began_ms`, within the
/// range and before the first sample.
double FactorSinceStart(const Coverage& coverage, std::int64_t began_ms);
/// Whether a counter began so.
inline bool BeganWithin(const Coverage& coverage, std::int64_t began_ms) {
  return began_ms != 0 && began_ms > coverage.start_ms &&
         began_ms < coverage.first_ms;
}

/// Whether the start times of two samples in a row say that the counter began
/// anew between them.
bool IsStartReset(std::int64_t previous_start_ms, std::int64_t previous_ms,
                  std::int64_t start_ms, std::int64_t time_ms);
/// Whether a start time lies before the preceding sample, and is another.
inline bool IsStartOverlap(std::int64_t previous_start_ms,
                           std::int64_t previous_ms, std::int64_t start_ms) {
  return start_ms != 0 && start_ms < previous_ms &&
         start_ms != previous_start_ms;
}

/// Fills `falls` and `overlaps` of the context from the floats of a series.
void FindFalls(const model::SampleColumns& samples, RangeContext* context);

/// Which of the samples at `times` an extended range from `start_ms` to
/// `end_ms` counts with; there is at least one.
struct EdgePositions {
  std::size_t first = 0;  ///< That the values at the edges come from.
  std::size_t last = 0;
  std::size_t inner_begin = 0;  ///< Of the samples strictly inside.
  std::size_t inner_end = 0;
};
EdgePositions EdgePositionsOf(const std::int64_t* times, std::size_t size,
                              std::int64_t start_ms, std::int64_t end_ms,
                              bool smoothed);

/// irate(), idelta(): of the last two samples.
double InstantChange(bool per_second, const RangeWindow& window);

/// The samples of an `anchored` or `smoothed` range at one step, with values at
/// both of its edges.
model::SampleColumns CutAtEdges(const model::SampleColumns& samples,
                                const RangeGeometry& geometry);

double CountChanges(const RangeWindow& window, const RangeContext& context);
double CountResets(const RangeWindow& window, const RangeContext& context);

}  // namespace narthex::promql
