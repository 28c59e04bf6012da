#pragma once

#include <cstddef>
#include <cstdint>

#include "libs/promql/column.h"
#include "libs/promql/range_functions.h"
#include "libs/promql/range_rate.h"

/// Range functions of series that have native histograms, perhaps beside
/// floats.
namespace narthex::promql {

/// The histograms of one series that one step sees; may be empty.
struct HistogramWindow {
  const std::int64_t* times = nullptr;
  const model::HistogramPtr* values = nullptr;
  const std::int64_t* starts = nullptr;  // As RangeWindow::starts.
  std::size_t size = 0;
};

/// Both kinds of samples in one window, at least one of them. The times of
/// `floats` hold even when it is empty.
struct MixedWindow {
  RangeWindow floats;
  HistogramWindow histograms;
};

/// The value of a window: a histogram when there is one, otherwise a float or
/// Absent().
struct WindowResult {
  double value = Absent();
  model::HistogramPtr histogram = nullptr;
};

/// Applies the function named `name`, which is `function`, to all windows of
/// `samples`. `out->values` has an element for each step.
void ApplyToHistograms(absl::string_view name, const RangeFunction& function,
                       const model::SampleColumns& samples,
                       RangeContext& context, Column* out);

/// rate() and kin of histograms alone.
WindowResult HistogramRateOf(RateKind kind, const MixedWindow& window,
                             RangeContext& context);
/// The same under `anchored` and `smoothed`.
WindowResult ExtendedHistogramRate(RateKind kind, const MixedWindow& window,
                                   RangeContext& context);
/// irate() and idelta() of windows with histograms.
WindowResult InstantChangeOfMixed(bool per_second, const MixedWindow& window,
                                  RangeContext& context);

/// Adds `other` to, or subtracts it from, `*histogram` and annotates. False
/// when their layouts are incompatible.
bool AddAnnotated(const model::FloatHistogram& other,
                  const RangeContext& context,
                  model::FloatHistogram* histogram);
bool SubtractAnnotated(const model::FloatHistogram& other,
                       const RangeContext& context,
                       model::FloatHistogram* histogram);

}  // namespace narthex::promql
