#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/model/sample.h"
#include "libs/promql/ast.h"
#include "libs/promql/column.h"
#include "libs/promql/evaluation.h"
#include "libs/promql/step_grid.h"

/// How the kinds of nodes are evaluated; each streams its vector to `sink`.
namespace narthex::promql {

/// The times a selector looks at: first_ms, then step_ms apart.
struct References {
  std::int64_t first_ms = 0;
  std::int64_t step_ms = 0;  // 0 under @.
};

References ReferencesOf(const TimeModifiers& time, const StepGrid& grid);

/// How EvaluateSelector() reads and maps. It refers to both arguments.
SeriesReading ReadingOfSelector(const Evaluation& evaluation,
                                const VectorSelector& selector,
                                const StepGrid& grid);
absl::Status EvaluateSelector(Evaluation& evaluation,
                              const VectorSelector& selector,
                              const StepGrid& grid, ColumnSink sink);
/// As EvaluateSelector(), with the time of the sample found, in seconds, for
/// its value.
absl::Status EvaluateSelectorTimes(Evaluation& evaluation,
                                   const VectorSelector& selector,
                                   const StepGrid& grid, ColumnSink sink);
/// The same with histograms as they are.
absl::Status EvaluateSelectorFloatTimes(Evaluation& evaluation,
                                        const VectorSelector& selector,
                                        const StepGrid& grid, ColumnSink sink);
/// As EvaluateSelector(), with the time at which the counter of the sample
/// found began, in seconds, for its value; 0 when that is not known.
absl::Status EvaluateSelectorStartTimes(Evaluation& evaluation,
                                        const VectorSelector& selector,
                                        const StepGrid& grid, ColumnSink sink);
absl::Status EvaluateCall(Evaluation& evaluation, const Call& call,
                          const StepGrid& grid, ColumnSink sink);
absl::Status EvaluateAggregate(Evaluation& evaluation,
                               const AggregateExpr& aggregate,
                               const StepGrid& grid, ColumnSink sink);
absl::Status EvaluateBinary(Evaluation& evaluation, const BinaryExpr& binary,
                            const StepGrid& grid, ColumnSink sink);
/// Of two scalars.
absl::StatusOr<Scalars> EvaluateScalarBinary(Evaluation& evaluation,
                                             const BinaryExpr& binary,
                                             const StepGrid& grid);

/// Where the windows of a range vector lie: that of step i ends at
/// first_end_ms + i * step_ms and begins `range_ms` before, exclusively.
struct RangeGeometry {
  std::int64_t first_end_ms = 0;
  std::int64_t step_ms = 0;  // 0 under @.
  std::int64_t range_ms = 0;
  bool anchored = false;
  bool smoothed = false;
};

/// One series of a range vector: all samples its windows may need, without
/// staleness markers. The consumer may move the labels out.
struct RangeSeries {
  model::Labels labels;
  bool drop_name = false;
  model::SampleColumns samples;
};

/// The geometry of the matrix selector or subquery `expr`.
RangeGeometry GeometryOf(const Expr& expr, const StepGrid& grid);

/// Streams the series of the matrix selector or subquery `expr`.
absl::Status EvaluateRange(
    Evaluation& evaluation, const Expr& expr, const StepGrid& grid,
    absl::FunctionRef<absl::Status(RangeSeries& series)> sink);

/// The same of a range vector that is itself the result. Counts its samples as
/// seen; of a subquery those that its expression looks at.
absl::Status EvaluateRangeResult(
    Evaluation& evaluation, const Expr& expr, const StepGrid& grid,
    absl::FunctionRef<absl::Status(RangeSeries& series)> sink);

/// As SeriesMapper, of the series of a range vector.
class RangeMapper {
 public:
  virtual ~RangeMapper() = default;
  virtual absl::StatusOr<bool> Map(RangeSeries& series, Column* out) = 0;
};
using NewRangeMapper =
    std::function<std::unique_ptr<RangeMapper>(Tally* tally)>;

/// How the series of a matrix selector are read and mapped. With `newest_only`,
/// the newest sample of a window is all that is looked at.
SeriesReading ReadingOfMatrix(const Evaluation& evaluation,
                              const MatrixSelector& matrix,
                              const StepGrid& grid, bool newest_only,
                              NewRangeMapper new_mapper);

/// Streams what mappers make of those series; those of a matrix selector on
/// several threads when they are many.
absl::Status MapRange(Evaluation& evaluation, const Expr& expr,
                      const StepGrid& grid, bool newest_only,
                      const NewRangeMapper& new_mapper, ColumnSink sink);

/// How EvaluateRangeCall() reads and maps the matrix selector that is argument
/// `range_arg`. It refers to both arguments.
absl::StatusOr<SeriesReading> ReadingOfCall(Evaluation& evaluation,
                                            const Call& call,
                                            std::size_t range_arg,
                                            const StepGrid& grid);

/// Evaluates a function whose argument `range_arg` is a range vector.
absl::Status EvaluateRangeCall(Evaluation& evaluation, const Call& call,
                               std::size_t range_arg, const StepGrid& grid,
                               ColumnSink sink);

/// A function over instant vectors (or none).
using VectorFunction = absl::Status (*)(Evaluation& evaluation,
                                        const Call& call, const StepGrid& grid,
                                        ColumnSink sink);

VectorFunction FindMathFunction(absl::string_view name);
VectorFunction FindTimeFunction(absl::string_view name);
VectorFunction FindHistogramFunction(absl::string_view name);
VectorFunction FindLabelFunction(absl::string_view name);
VectorFunction FindSortFunction(absl::string_view name);
VectorFunction FindPresenceFunction(absl::string_view name);

absl::Status EvaluateInfo(Evaluation& evaluation, const Call& call,
                          const StepGrid& grid, ColumnSink sink);

/// The labels of absent() and absent_over_time(): what the equality matchers of
/// a selector say.
model::Labels LabelsOfAbsent(const Expr& argument);

/// The value of a string argument.
const std::string& StringArgument(const Call& call, std::size_t index);

}  // namespace narthex::promql
