#include <cmath>
#include <type_traits>
#include <utility>

#include "libs/base/status.h"
#include "libs/promql/binary_histogram.h"
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
                 const std::vector<double>& scalar, std::size_t begin,
                 std::size_t end, std::vector<double>* values) {
  using Result = decltype(apply(0.0, 0.0));
  for (std::size_t i = begin; i < end; ++i) {
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

/// The same for the histograms of a column, and for operators that are not
/// defined for floats.
template <VectorSide kSide>
void ApplyScalarToHistograms(Evaluation& evaluation, const BinaryExpr& binary,
                             const std::vector<double>& scalar,
                             Column* column) {
  const bool trims = IsTrim(binary.op);
  for (std::size_t i = 0; i < column->values.size(); ++i) {
    const bool is_histogram = column->HasHistogram(i);
    if (!is_histogram && !(trims && IsPresent(column->values[i]))) continue;
    const Operand vector{column->values[i],
                         is_histogram ? &column->histograms[i] : nullptr};
    const Operand other{scalar[i], nullptr};
    BinaryResult result = kSide == VectorSide::kLeft
                              ? ComputeHistogram(binary.op, vector, other)
                              : ComputeHistogram(binary.op, other, vector);
    Annotate(result.note, binary.op, kSide == VectorSide::kLeft && is_histogram,
             kSide == VectorSide::kRight && is_histogram, binary.position,
             &evaluation.annotations());
    if (result.failed) {
      column->Erase(i);
    } else {
      column->SetHistogram(i, std::move(result.histogram));
    }
  }
}

template <VectorSide kSide>
absl::Status ApplyScalars(Evaluation& evaluation, const BinaryExpr& binary,
                          const std::vector<double>& scalar,
                          const StepGrid& grid, ColumnSink sink) {
  const Expr& vector = kSide == VectorSide::kLeft ? *binary.lhs : *binary.rhs;
  const auto apply = [&](Column* column) {
    if (IsTrim(binary.op) || !column->histograms.empty()) {
      ApplyScalarToHistograms<kSide>(evaluation, binary, scalar, column);
      if (IsTrim(binary.op)) return absl::OkStatus();
    }
    std::vector<double>* const values = &column->values;
    return evaluation.InStretches(
        grid.count, [&](std::size_t begin, std::size_t end) {
          VisitOperator(binary.op, [&](const auto& function) {
            ApplyScalar<kSide>(function, binary.return_bool, scalar, begin, end,
                               values);
          });
        });
  };
  if (!IsArithmetic(binary.op) && !binary.return_bool) {
    return evaluation.Vector(vector, grid, [&](Column& column) -> absl::Status {
      NARTHEX_RETURN_IF_ERROR(apply(&column));
      if (CountPresent(column) == 0) return absl::OkStatus();
      return sink(column);
    });
  }
  NameDropper dropper(evaluation, vector, NameDropper::Repeats::kMerge, sink);
  const auto drop = [&](Column& column) -> absl::Status {
    NARTHEX_RETURN_IF_ERROR(apply(&column));
    if (!column.histograms.empty() && CountPresent(column) == 0) {
      return absl::OkStatus();
    }
    return dropper.Add(column);
  };
  NARTHEX_RETURN_IF_ERROR(evaluation.Vector(vector, grid, drop));
  return dropper.Finish();
}

template <VectorSide kSide>
absl::Status VectorScalar(Evaluation& evaluation, const BinaryExpr& binary,
                          const StepGrid& grid, ColumnSink sink) {
  if (kSide == VectorSide::kRight) {
    NARTHEX_ASSIGN_OR_RETURN(const Scalars scalars,
                             evaluation.Scalar(*binary.lhs, grid));
    return ApplyScalars<kSide>(evaluation, binary, scalars.values, grid, sink);
  }
  // The scalar is needed first, but what it has to say stands behind that of
  // the vector on its left.
  Annotations of_scalar;
  std::swap(of_scalar, evaluation.annotations());
  const absl::StatusOr<Scalars> scalars = evaluation.Scalar(*binary.rhs, grid);
  std::swap(of_scalar, evaluation.annotations());
  NARTHEX_RETURN_IF_ERROR(scalars.status());
  NARTHEX_RETURN_IF_ERROR(
      ApplyScalars<kSide>(evaluation, binary, scalars->values, grid, sink));
  evaluation.annotations().Merge(of_scalar);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Scalars> EvaluateScalarBinary(Evaluation& evaluation,
                                             const BinaryExpr& binary,
                                             const StepGrid& grid) {
  NARTHEX_ASSIGN_OR_RETURN(Scalars left, evaluation.Scalar(*binary.lhs, grid));
  NARTHEX_ASSIGN_OR_RETURN(const Scalars right,
                           evaluation.Scalar(*binary.rhs, grid));
  std::vector<double>& values = left.values;
  NARTHEX_RETURN_IF_ERROR(evaluation.InStretches(
      grid.count, [&](std::size_t begin, std::size_t end) {
        VisitOperator(binary.op, [&](const auto& apply) {
          for (std::size_t i = begin; i < end; ++i) {
            values[i] = static_cast<double>(apply(values[i], right.values[i]));
          }
        });
      }));
  return left;
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
