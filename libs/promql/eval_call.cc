#include <algorithm>
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

absl::StatusOr<std::vector<double>> Evaluation::ScalarCall(
    const Call& call, const StepGrid& grid) {
  const absl::string_view name = call.function->name;
  if (name == "time") {
    std::vector<double> values(grid.count);
    for (std::size_t i = 0; i < grid.count; ++i) {
      values[i] = static_cast<double>(grid.At(i)) / 1000;
    }
    return values;
  }
  if (name == "pi") return std::vector<double>(grid.count, M_PI);
  if (name == "scalar") return ScalarOfVector(*call.args[0], grid);
  if (name == "max_of" || name == "min_of") {
    NARTHEX_ASSIGN_OR_RETURN(std::vector<double> a,
                             Scalar(*call.args[0], grid));
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<double> b,
                             Scalar(*call.args[1], grid));
    const auto choose = name == "max_of" ? MaxOf : MinOf;
    std::transform(a.begin(), a.end(), b.begin(), a.begin(), choose);
    return a;
  }
  return absl::InternalError(
      absl::StrCat("no implementation of function ", name));
}

/// The value of the only element at each step, or NaN.
absl::StatusOr<std::vector<double>> Evaluation::ScalarOfVector(
    const Expr& vector, const StepGrid& grid) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> values(grid.count, kNan);
  std::vector<bool> found(grid.count, false);
  NARTHEX_RETURN_IF_ERROR(Vector(vector, grid, [&](Column& column) {
    for (std::size_t i = 0; i < grid.count; ++i) {
      if (IsAbsent(column.values[i])) continue;
      values[i] = found[i] ? kNan : column.values[i];
      found[i] = true;
    }
    return absl::OkStatus();
  }));
  return values;
}

}  // namespace narthex::promql
