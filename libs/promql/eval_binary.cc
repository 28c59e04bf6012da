#include <cmath>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/promql/binary_match.h"
#include "libs/promql/binary_op.h"
#include "libs/promql/eval_nodes.h"

namespace narthex::promql {
namespace {

/// Which side of an operator the vector stands on.
enum class VectorSide { kLeft, kRight };

/// Applies an operator to each value of a column and the scalar at its step.
/// A comparison keeps the vector's values that satisfy it, or with `bool` gives
/// 0 and 1.
template <VectorSide kSide, typename Operator>
void ApplyScalar(const Operator& apply, bool return_bool,
                 const std::vector<double>& scalar,
                 std::vector<double>* values) {
  using Result = decltype(apply(0.0, 0.0));
  for (std::size_t i = 0; i < values->size(); ++i) {
    const double value = (*values)[i];
    if (IsAbsent(value)) continue;
    const Result result = kSide == VectorSide::kLeft ? apply(value, scalar[i])
                                                     : apply(scalar[i], value);
    if constexpr (std::is_same_v<Result, bool>) {
      if (return_bool) {
        (*values)[i] = result ? 1 : 0;
      } else if (!result) {
        (*values)[i] = Absent();
      }
    } else {
      (*values)[i] = result;
    }
  }
}

/// Trimming is for histograms: every element is dropped with an info.
absl::Status TrimFloats(Evaluation& evaluation, const BinaryExpr& binary,
                        const Expr& vector, const StepGrid& grid) {
  return evaluation.Vector(vector, grid, [&](Column&) {
    const absl::string_view op = BinaryOpText(binary.op);
    evaluation.annotations().Info(
        absl::StrCat("incompatible sample types encountered for binary "
                     "operator ",
                     base::Quote(op), ": float ", op, " float"),
        binary.position);
    return absl::OkStatus();
  });
}

template <VectorSide kSide>
absl::Status VectorScalar(Evaluation& evaluation, const BinaryExpr& binary,
                          const StepGrid& grid, ColumnSink sink) {
  const Expr& vector = kSide == VectorSide::kLeft ? *binary.lhs : *binary.rhs;
  const Expr& other = kSide == VectorSide::kLeft ? *binary.rhs : *binary.lhs;
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<double> scalar,
                           evaluation.Scalar(other, grid));
  if (IsTrim(binary.op)) return TrimFloats(evaluation, binary, vector, grid);
  const auto apply = [&](std::vector<double>* values) {
    VisitOperator(binary.op, [&](const auto& function) {
      ApplyScalar<kSide>(function, binary.return_bool, scalar, values);
    });
  };
  if (!IsArithmetic(binary.op) && !binary.return_bool) {
    return evaluation.Vector(vector, grid, [&](Column& column) -> absl::Status {
      apply(&column.values);
      if (CountPresent(column.values) == 0) {
        return absl::OkStatus();
      }
      return sink(column);
    });
  }
  NameDropper dropper(evaluation, vector, NameDropper::Repeats::kMerge, sink);
  NARTHEX_RETURN_IF_ERROR(evaluation.Vector(vector, grid, [&](Column& column) {
    apply(&column.values);
    return dropper.Add(column);
  }));
  return dropper.Finish();
}

}  // namespace

absl::StatusOr<std::vector<double>> EvaluateScalarBinary(
    Evaluation& evaluation, const BinaryExpr& binary, const StepGrid& grid) {
  NARTHEX_ASSIGN_OR_RETURN(std::vector<double> values,
                           evaluation.Scalar(*binary.lhs, grid));
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<double> right,
                           evaluation.Scalar(*binary.rhs, grid));
  VisitOperator(binary.op, [&](const auto& apply) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<double>(apply(values[i], right[i]));
    }
  });
  return values;
}

absl::Status EvaluateBinary(Evaluation& evaluation, const BinaryExpr& binary,
                            const StepGrid& grid, ColumnSink sink) {
  const bool left = binary.lhs->type() == ValueType::kVector;
  const bool right = binary.rhs->type() == ValueType::kVector;
  if (left && right) return EvaluateMatched(evaluation, binary, grid, sink);
  return left
             ? VectorScalar<VectorSide::kLeft>(evaluation, binary, grid, sink)
             : VectorScalar<VectorSide::kRight>(evaluation, binary, grid, sink);
}

}  // namespace narthex::promql
