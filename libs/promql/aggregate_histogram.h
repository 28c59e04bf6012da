#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "libs/model/histogram_sum.h"
#include "libs/promql/annotations.h"
#include "libs/promql/column.h"

namespace narthex::promql {

/// The sums, or the means, of the histograms of a group at each step. A step
/// that has histograms and floats, or histograms of incompatible layouts,
/// yields nothing but a warning.
class HistogramGroup {
 public:
  enum class Kind { kSum, kMean };

  /// `position` is that of the aggregated expression.
  HistogramGroup(Kind kind, std::size_t steps, PositionRange position)
      : kind_(kind), position_(position), steps_(steps) {}

  /// Adds the histograms of `column`. `had_float` tells at which steps the
  /// group has had a float before.
  void Add(const Column& column,
           absl::FunctionRef<bool(std::size_t step)> had_float,
           Annotations* annotations);

  /// Whether a step yields nothing, or a warning, for what has been added and
  /// for the floats of the group.
  bool Conflicts(absl::FunctionRef<bool(std::size_t step)> has_float) const;
  /// Whether any histogram is known to follow a reset of its counter, or not.
  bool KnowsResets() const;

  /// Completes `*column`, which holds the results of the floats.
  void Finish(Column* column, Annotations* annotations) const;

 private:
  struct Step {
    std::unique_ptr<model::HistogramSum> sum;
    std::unique_ptr<model::HistogramMean> mean;
    bool has_histogram = false;
    bool has_float = false;  // Before it turned out to be incompatible.
    bool incompatible = false;
    bool saw_reset = false;
    bool saw_no_reset = false;
  };

  model::MergeOutcome AddTo(const model::FloatHistogram& histogram,
                            Step* step) const;

  const Kind kind_;
  const PositionRange position_;
  std::vector<Step> steps_;
};

}  // namespace narthex::promql
