#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/promql/annotations.h"
#include "libs/promql/ast.h"
#include "libs/promql/column.h"
#include "libs/promql/eval_nodes.h"
#include "libs/promql/step_grid.h"

namespace narthex::promql {

/// The samples of one series that one step of a range function sees. Never
/// empty.
struct RangeWindow {
  const std::int64_t* times = nullptr;
  const double* values = nullptr;
  /// When the counter behind each began; null when that is not known.
  const std::int64_t* starts = nullptr;
  std::size_t size = 0;
  std::size_t offset = 0;     // Of the first one in its series.
  std::int64_t start_ms = 0;  // Exclusive; that of the range as written.
  std::int64_t end_ms = 0;
  std::size_t step = 0;
  std::int64_t step_time_ms = 0;  // When the step is evaluated.
};

/// What a range function knows beside its window; one for all series of a call.
struct RangeContext {
  RangeGeometry geometry;
  StepGrid grid;
  /// The scalar arguments in order, each with a value for every step.
  std::vector<std::vector<double>> scalars;
  /// Where the first and the other arguments stand, for annotations.
  PositionRange position;
  Annotations* annotations = nullptr;
  std::int64_t lookback_ms = 0;
  /// The samples of all windows together: for statistics.
  SeenSamples seen;
  bool tell_steps = false;  // Of those.
  /// Asked now and then whether the query must end.
  const Evaluation* evaluation = nullptr;

  /// Positions in the current series at which the counter began anew: the
  /// value fell, or the counter's start says so.
  std::vector<std::size_t> falls;
  /// Positions at which a counter claims to have begun before the sample
  /// preceding it.
  std::vector<std::size_t> overlaps;
  /// The name of the current series.
  absl::string_view metric_name;
  /// Memory for functions that need some.
  std::vector<double> scratch;
  /// Set by a function that cannot go on.
  absl::Status status;
};

/// A function of range vectors, applied to all windows of one series.
struct RangeFunction {
  /// Fills `*out`, one value for each step.
  void (*apply)(const model::SampleColumns& samples, RangeContext& context,
                std::vector<double>* out) = nullptr;
  /// The value of one window, which is not empty.
  double (*window)(const RangeWindow& window, RangeContext& context) = nullptr;
  bool keeps_name = false;
  bool needs_falls = false;  // Of the context.
  bool uses_starts = false;  // Of the samples.
  bool allows_anchored = false;
  bool allows_smoothed = false;
};

/// Null when there is none of that name.
const RangeFunction* FindRangeFunction(absl::string_view name);

/// The names of functions that may be used with `anchored` (or `smoothed`),
/// sorted and separated by ", ".
absl::string_view AnchoredFunctionNames();
absl::string_view SmoothedFunctionNames();

}  // namespace narthex::promql
