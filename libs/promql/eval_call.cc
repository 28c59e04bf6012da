#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/promql/eval_nodes.h"
#include "libs/promql/extremes.h"

namespace narthex::promql {
const std::string& StringArgument(const Call& call, std::size_t index) {
  return Unwrap(*call.args[index]).As<StringLiteral>().value;
}

absl::Status EvaluateCall(Evaluation& evaluation, const Call& call,
                          const StepGrid& grid, ColumnSink sink) {
  const absl::string_view name = call.function->name;
  const bool starts =
      name == "start_timestamp" && evaluation.settings().use_start_timestamps;
  if ((starts || name == "timestamp") &&
      Unwrap(*call.args[0]).kind == ExprKind::kVectorSelector) {
    const Expr& selector = Unwrap(*call.args[0]);
    NameDropper dropper(evaluation, selector, NameDropper::Repeats::kMerge,
                        sink);
    const auto evaluate =
        starts ? EvaluateSelectorStartTimes : EvaluateSelectorTimes;
    NARTHEX_RETURN_IF_ERROR(
        evaluate(evaluation, selector.As<VectorSelector>(), grid,
                 [&](Column& column) { return dropper.Add(column); }));
    return dropper.Finish();
  }
  for (std::size_t i = 0; i < call.args.size(); ++i) {
    if (Unwrap(*call.args[i]).type() == ValueType::kMatrix) {
      return EvaluateRangeCall(evaluation, call, i, grid, sink);
    }
  }
  for (const auto find :
       {FindMathFunction, FindTimeFunction, FindHistogramFunction,
        FindLabelFunction, FindSortFunction, FindPresenceFunction}) {
    if (const VectorFunction function = find(name); function != nullptr) {
      return function(evaluation, call, grid, sink);
    }
  }
  return absl::InternalError(
      absl::StrCat("no implementation of function ", name));
}

absl::StatusOr<Scalars> Evaluation::ScalarCall(const Call& call,
                                               const StepGrid& grid) {
  const absl::string_view name = call.function->name;
  if (name == "time") {
    NARTHEX_ASSIGN_OR_RETURN(Scalars times, Constant(0, grid.count));
    NARTHEX_RETURN_IF_ERROR(
        InStretches(grid.count, [&](std::size_t begin, std::size_t end) {
          for (std::size_t i = begin; i < end; ++i) {
            times.values[i] = static_cast<double>(grid.At(i)) / 1000;
          }
        }));
    return times;
  }
  if (name == "pi") return Constant(M_PI, grid.count);
  if (name == "scalar") return ScalarOfVector(*call.args[0], grid);
  if (name == "max_of" || name == "min_of") {
    NARTHEX_ASSIGN_OR_RETURN(Scalars a, Scalar(*call.args[0], grid));
    NARTHEX_ASSIGN_OR_RETURN(const Scalars b, Scalar(*call.args[1], grid));
    const auto choose = name == "max_of" ? MaxOf : MinOf;
    NARTHEX_RETURN_IF_ERROR(
        InStretches(grid.count, [&](std::size_t begin, std::size_t end) {
          for (std::size_t i = begin; i < end; ++i) {
            a.values[i] = choose(a.values[i], b.values[i]);
          }
        }));
    return a;
  }
  return absl::InternalError(
      absl::StrCat("no implementation of function ", name));
}

/// The value of the only element at each step, or NaN.
absl::StatusOr<Scalars> Evaluation::ScalarOfVector(const Expr& vector,
                                                   const StepGrid& grid) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  NARTHEX_ASSIGN_OR_RETURN(Scalars scalars, Constant(kNan, grid.count));
  std::vector<double>& values = scalars.values;
  std::vector<bool> found(grid.count, false);
  NARTHEX_RETURN_IF_ERROR(Vector(vector, grid, [&](Column& column) {
    return InStretches(grid.count, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        if (IsAbsent(column.values[i])) continue;
        values[i] = found[i] ? kNan : column.values[i];
        found[i] = true;
      }
    });
  }));
  return scalars;
}

}  // namespace narthex::promql
