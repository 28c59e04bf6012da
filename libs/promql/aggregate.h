#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/model/labels.h"
#include "libs/promql/ast.h"
#include "libs/promql/column.h"
#include "libs/promql/evaluation.h"
#include "libs/promql/step_grid.h"

namespace narthex::promql {

/// The by (...) or without (...) of an aggregation.
class Grouping {
 public:
  Grouping(std::vector<std::string> labels, bool without);

  /// The labels of the group a series belongs to.
  model::Labels KeyOf(const model::Labels& labels) const;

 private:
  std::vector<std::string> labels_;  // Sorted.
  const bool without_;
};

/// Evaluates sum or avg up to where parts made elsewhere can be added: of each
/// group it streams columns with the same labels, one after another: the sums
/// (with those of histograms), what rounding has taken from them and, of avg,
/// the counts. kUnimplemented when the result would not be that of the whole.
absl::Status EvaluateParts(Evaluation& evaluation,
                           const AggregateExpr& aggregate, const StepGrid& grid,
                           ColumnSink sink);

/// count_values: one series for each group and value.
absl::Status EvaluateCountValues(Evaluation& evaluation,
                                 const AggregateExpr& aggregate,
                                 const StepGrid& grid, ColumnSink sink);

/// topk, bottomk, limitk and limit_ratio: they pass on series as they are.
inline bool SelectsSeries(AggregateOp op) {
  return op == AggregateOp::kTopk || op == AggregateOp::kBottomk ||
         op == AggregateOp::kLimitk || op == AggregateOp::kLimitRatio;
}

/// Evaluates those. `parameter` has k or the ratio for every step.
absl::Status EvaluateSelection(Evaluation& evaluation,
                               const AggregateExpr& aggregate,
                               const std::vector<double>& parameter,
                               const StepGrid& grid, ColumnSink sink);

}  // namespace narthex::promql
