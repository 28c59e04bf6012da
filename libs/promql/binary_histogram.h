#pragma once

#include "libs/model/histogram.h"
#include "libs/promql/annotations.h"
#include "libs/promql/ast.h"

/// Operators of which at least one side is a histogram.
namespace narthex::promql {

/// One side of an operator at one step.
struct Operand {
  double value = 0;
  const model::HistogramPtr* histogram = nullptr;  // Null: `value` counts.
};

/// What the user should know of an operation.
enum class BinaryNote {
  kNone,
  kTypes,       ///< The operator is not defined for these kinds of values.
  kLayout,      ///< Custom bounds met exponential ones.
  kCollision,   ///< A reset met none.
  kReconciled,  ///< Custom bounds were reconciled.
};

struct BinaryResult {
  /// There is no result and no match.
  bool failed = false;
  /// Of a comparison: whether it holds.
  bool holds = true;
  double value = 0;
  model::HistogramPtr histogram;  // When set, the result.
  BinaryNote note = BinaryNote::kNone;
};

/// Whether `op` is defined for two values of these kinds.
bool IsDefined(BinaryOp op, bool left_is_histogram, bool right_is_histogram);

/// Applies `op`, not a set operator, to operands of which at least one is a
/// histogram, or that it is not defined for.
BinaryResult ComputeHistogram(BinaryOp op, const Operand& left,
                              const Operand& right);

/// Adds the annotation for a note.
void Annotate(BinaryNote note, BinaryOp op, bool left_is_histogram,
              bool right_is_histogram, PositionRange position,
              Annotations* annotations);

}  // namespace narthex::promql
