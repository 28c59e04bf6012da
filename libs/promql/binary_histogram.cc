#include "libs/promql/binary_histogram.h"

#include <memory>
#include <utility>

#include "libs/model/histogram_arithmetic.h"
#include "libs/promql/binary_op.h"

namespace narthex::promql {
namespace {

std::shared_ptr<model::FloatHistogram> Copy(const Operand& operand) {
  return std::make_shared<model::FloatHistogram>(**operand.histogram);
}

BinaryResult Scaled(BinaryOp op, const Operand& histogram, double factor) {
  auto scaled = Copy(histogram);
  if (op == BinaryOp::kMul) {
    model::Multiply(factor, scaled.get());
  } else {
    model::Divide(factor, scaled.get());
  }
  model::Compact(scaled.get());
  BinaryResult result;
  result.histogram = std::move(scaled);
  return result;
}

BinaryResult Trimmed(BinaryOp op, const Operand& histogram, double limit) {
  auto trimmed = Copy(histogram);
  if (op == BinaryOp::kTrimUpper) {
    model::TrimAbove(limit, trimmed.get());
  } else {
    model::TrimBelow(limit, trimmed.get());
  }
  BinaryResult result;
  result.histogram = std::move(trimmed);
  return result;
}

BinaryResult Merged(BinaryOp op, const Operand& left, const Operand& right) {
  auto merged = Copy(left);
  const model::MergeOutcome outcome =
      op == BinaryOp::kAdd ? model::Add(**right.histogram, merged.get())
                           : model::Subtract(**right.histogram, merged.get());
  BinaryResult result;
  if (outcome.incompatible || outcome.reset_collision) {
    result.failed = true;
    result.note =
        outcome.incompatible ? BinaryNote::kLayout : BinaryNote::kCollision;
    return result;
  }
  if (outcome.bounds_reconciled) result.note = BinaryNote::kReconciled;
  // A difference may go down.
  if (op == BinaryOp::kSub) merged->counter_reset = model::CounterReset::kGauge;
  model::Compact(merged.get());
  result.histogram = std::move(merged);
  return result;
}

}  // namespace

bool IsDefined(BinaryOp op, bool left_is_histogram, bool right_is_histogram) {
  if (left_is_histogram && right_is_histogram) {
    return op == BinaryOp::kAdd || op == BinaryOp::kSub ||
           op == BinaryOp::kEqual || op == BinaryOp::kNotEqual;
  }
  if (left_is_histogram) {
    return op == BinaryOp::kMul || op == BinaryOp::kDiv || IsTrim(op);
  }
  if (right_is_histogram) return op == BinaryOp::kMul;
  return !IsTrim(op);
}

BinaryResult ComputeHistogram(BinaryOp op, const Operand& left,
                              const Operand& right) {
  const bool left_is = left.histogram != nullptr;
  const bool right_is = right.histogram != nullptr;
  BinaryResult result;
  if (!IsDefined(op, left_is, right_is)) {
    result.failed = true;
    result.note = BinaryNote::kTypes;
    return result;
  }
  if (!left_is) return Scaled(op, right, left.value);
  if (!right_is) {
    return IsTrim(op) ? Trimmed(op, left, right.value)
                      : Scaled(op, left, right.value);
  }
  if (op == BinaryOp::kAdd || op == BinaryOp::kSub) {
    return Merged(op, left, right);
  }
  result.holds = model::Equal(**left.histogram, **right.histogram) ==
                 (op == BinaryOp::kEqual);
  result.histogram = *left.histogram;
  return result;
}

void Annotate(BinaryNote note, BinaryOp op, bool left_is_histogram,
              bool right_is_histogram, PositionRange position,
              Annotations* annotations) {
  const absl::string_view operation =
      op == BinaryOp::kAdd ? "addition" : "subtraction";
  switch (note) {
    case BinaryNote::kNone:
      return;
    case BinaryNote::kTypes:
      annotations->IncompatibleTypes(
          left_is_histogram ? "histogram" : "float", BinaryOpText(op),
          right_is_histogram ? "histogram" : "float", position);
      return;
    case BinaryNote::kLayout:
      annotations->IncompatibleLayout(BinaryOpText(op), position);
      return;
    case BinaryNote::kCollision:
      annotations->ResetCollision(operation, position);
      return;
    case BinaryNote::kReconciled:
      annotations->BoundsReconciled(operation, position);
      return;
  }
}

}  // namespace narthex::promql
