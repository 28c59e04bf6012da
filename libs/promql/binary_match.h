#pragma once

#include "absl/status/status.h"
#include "libs/promql/ast.h"
#include "libs/promql/column.h"
#include "libs/promql/evaluation.h"
#include "libs/promql/step_grid.h"

namespace narthex::promql {

/// Evaluates an operator between two vectors, whose series are matched by
/// labels. kFailedPrecondition when the match is not unique where it must be.
absl::Status EvaluateMatched(Evaluation& evaluation, const BinaryExpr& binary,
                             const StepGrid& grid, ColumnSink sink);

}  // namespace narthex::promql
