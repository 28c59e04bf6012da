#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "libs/base/status.h"
#include "libs/promql/eval_nodes.h"
#include "libs/promql/trim_samples.h"

namespace narthex::promql {
namespace {

using RangeSink = absl::FunctionRef<absl::Status(RangeSeries& series)>;

/// What a subquery passes on of a histogram. Its steps are not neighbours in
/// storage, so that what was known of the one before does not hold.
model::HistogramPtr WithoutReset(const model::HistogramPtr& histogram) {
  if (histogram->counter_reset == model::CounterReset::kUnknown ||
      histogram->counter_reset == model::CounterReset::kGauge) {
    return histogram;
  }
  auto result = std::make_shared<model::FloatHistogram>(*histogram);
  result->counter_reset = model::CounterReset::kUnknown;
  return result;
}

SelectorReading ReadingOf(const Evaluation& evaluation,
                          const MatrixSelector& matrix, const StepGrid& grid,
                          bool newest_only) {
  const std::int64_t lookback_ms = evaluation.settings().lookback_delta_ms;
  const RangeGeometry geometry = GeometryOf(matrix, grid);
  SelectorReading reading;
  reading.range = {
      geometry.first_end_ms - geometry.range_ms + 1,
      geometry.first_end_ms +
          geometry.step_ms * static_cast<std::int64_t>(grid.count - 1)};
  if (geometry.anchored || geometry.smoothed) {
    reading.range.min_ms -= lookback_ms;
  }
  if (geometry.smoothed) reading.range.max_ms += lookback_ms;
  reading.step_ms = grid.step_ms;
  reading.range_ms = geometry.range_ms;
  const bool one_time = grid.count == 1 || geometry.step_ms == 0;
  reading.newest_only = newest_only && one_time;
  reading.steps = grid.count;
  return reading;
}

/// Takes what was read of a series for a range vector. False when it is empty.
bool TakeSeries(bool counts_only, model::Labels& labels,
                model::SampleColumns& samples, Tally* tally,
                RangeSeries* series) {
  std::swap(series->samples, samples);
  if (counts_only) KeepCounts(&series->samples);
  DropStaleMarkers(&series->samples);
  if (series->samples.empty()) return false;
  const std::size_t size = SizeInSamples(series->samples);
  tally->largest = std::max(tally->largest, size);
  tally->stats.read += static_cast<std::int64_t>(size);
  std::swap(series->labels, labels);
  series->drop_name = false;
  return true;
}

absl::Status ReadMatrix(Evaluation& evaluation, const MatrixSelector& matrix,
                        const StepGrid& grid, RangeSink sink) {
  const bool counts_only = evaluation.CountsOnly(*matrix.selector);
  RangeSeries series;
  const auto read = [&](model::Labels& labels,
                        model::SampleColumns& samples) -> absl::Status {
    if (!TakeSeries(counts_only, labels, samples, &evaluation.tally(),
                    &series)) {
      return absl::OkStatus();
    }
    return sink(series);
  };
  return evaluation.Select(*matrix.selector,
                           ReadingOf(evaluation, matrix, grid, false), read);
}

class MatrixMapper : public SeriesMapper {
 public:
  MatrixMapper(bool counts_only, std::unique_ptr<RangeMapper> mapper,
               Tally* tally)
      : counts_only_(counts_only), mapper_(std::move(mapper)), tally_(tally) {}

  absl::StatusOr<bool> Map(model::Labels& labels, model::SampleColumns& samples,
                           Column* out) override {
    if (!TakeSeries(counts_only_, labels, samples, tally_, &series_)) {
      return false;
    }
    return mapper_->Map(series_, out);
  }

 private:
  const bool counts_only_;
  const std::unique_ptr<RangeMapper> mapper_;
  Tally* const tally_;
  RangeSeries series_;
};

/// The steps of the inner expression: multiples of the step, so that they do
/// not move with the time of the query.
StepGrid InnerGrid(const RangeGeometry& geometry, std::int64_t step_ms,
                   std::size_t windows) {
  const std::int64_t begin_ms = geometry.first_end_ms - geometry.range_ms;
  std::int64_t start_ms = begin_ms / step_ms * step_ms;
  if (start_ms <= begin_ms) start_ms += step_ms;
  const std::int64_t end_ms =
      geometry.first_end_ms +
      geometry.step_ms * static_cast<std::int64_t>(windows - 1);
  return StepGrid::Between(start_ms, end_ms, step_ms);
}

/// Streams the series of a subquery, and counts in `*seen` the samples that its
/// expression looks at: in what a query says it has looked at stand those that
/// the consumer sees instead.
absl::Status ReadSubquery(Evaluation& evaluation, const SubqueryExpr& subquery,
                          const StepGrid& grid, std::int64_t* seen,
                          RangeSink sink) {
  const std::int64_t step_ms =
      subquery.step_ms != 0 ? subquery.step_ms
                            : evaluation.settings().default_subquery_step_ms;
  const StepGrid inner =
      InnerGrid(GeometryOf(subquery, grid), step_ms, grid.count);
  // The steps are those of the consumer, once its expression is evaluated.
  SeenSamples outside;
  std::swap(outside, evaluation.stats().seen);
  RangeSeries series;
  const auto forward = [&](Column& column) -> absl::Status {
    series.samples.clear();
    SampleReservation held(&evaluation.budget());
    // Both are there for a while.
    const std::size_t size = SizeInSamples(column);
    NARTHEX_RETURN_IF_ERROR(
        held.Add(size, 16 * size + 8 * column.values.size()));
    const std::size_t present = CountPresent(column);
    series.samples.timestamps_ms.reserve(present);
    series.samples.values.reserve(present);
    const auto append = [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        if (column.HasHistogram(i)) {
          series.samples.Append(inner.At(i),
                                WithoutReset(column.histograms[i]));
        } else if (IsPresent(column.values[i])) {
          series.samples.Append(inner.At(i), column.values[i]);
        }
      }
    };
    NARTHEX_RETURN_IF_ERROR(evaluation.InStretches(inner.count, append));
    if (series.samples.empty()) return absl::OkStatus();
    series.labels = column.labels;
    series.drop_name = column.drop_name;
    std::swap(outside, evaluation.stats().seen);
    const absl::Status taken = sink(series);
    std::swap(outside, evaluation.stats().seen);
    return taken;
  };
  const absl::Status status = evaluation.Vector(*subquery.expr, inner, forward);
  std::swap(outside, evaluation.stats().seen);
  *seen = outside.total;
  return status;
}

}  // namespace

RangeGeometry GeometryOf(const Expr& expr, const StepGrid& grid) {
  const bool is_matrix = expr.kind == ExprKind::kMatrixSelector;
  const TimeModifiers& time = is_matrix
                                  ? expr.As<MatrixSelector>().selector->time
                                  : expr.As<SubqueryExpr>().time;
  const References references = ReferencesOf(time, grid);
  RangeGeometry geometry;
  geometry.first_end_ms = references.first_ms;
  geometry.step_ms = references.step_ms;
  geometry.range_ms = is_matrix ? expr.As<MatrixSelector>().range_ms
                                : expr.As<SubqueryExpr>().range_ms;
  if (is_matrix) {
    geometry.anchored = expr.As<MatrixSelector>().selector->anchored;
    geometry.smoothed = expr.As<MatrixSelector>().selector->smoothed;
  }
  return geometry;
}

absl::Status EvaluateRange(Evaluation& evaluation, const Expr& expr,
                           const StepGrid& grid, RangeSink sink) {
  if (grid.count == 0) return absl::OkStatus();
  if (expr.kind == ExprKind::kMatrixSelector) {
    return ReadMatrix(evaluation, expr.As<MatrixSelector>(), grid, sink);
  }
  std::int64_t seen = 0;
  return ReadSubquery(evaluation, expr.As<SubqueryExpr>(), grid, &seen, sink);
}

absl::Status EvaluateRangeResult(Evaluation& evaluation, const Expr& expr,
                                 const StepGrid& grid, RangeSink sink) {
  std::int64_t seen = 0;
  const auto count = [&](RangeSeries& series) {
    seen += static_cast<std::int64_t>(SizeInSamples(series.samples));
    return sink(series);
  };
  if (expr.kind == ExprKind::kMatrixSelector) {
    NARTHEX_RETURN_IF_ERROR(EvaluateRange(evaluation, expr, grid, count));
  } else {
    NARTHEX_RETURN_IF_ERROR(
        ReadSubquery(evaluation, expr.As<SubqueryExpr>(), grid, &seen, sink));
  }
  // Only instant queries have such a result.
  evaluation.stats().seen.See(0, static_cast<std::size_t>(seen),
                              evaluation.settings().tell_steps);
  return absl::OkStatus();
}

SeriesReading ReadingOfMatrix(const Evaluation& evaluation,
                              const MatrixSelector& matrix,
                              const StepGrid& grid, bool newest_only,
                              NewRangeMapper new_mapper) {
  const bool counts_only = evaluation.CountsOnly(*matrix.selector);
  return {matrix.selector.get(),
          ReadingOf(evaluation, matrix, grid, newest_only), grid,
          [counts_only, new_mapper = std::move(new_mapper)](Tally* tally) {
            return std::make_unique<MatrixMapper>(counts_only,
                                                  new_mapper(tally), tally);
          }};
}

absl::Status MapRange(Evaluation& evaluation, const Expr& expr,
                      const StepGrid& grid, bool newest_only,
                      const NewRangeMapper& new_mapper, ColumnSink sink) {
  if (expr.kind == ExprKind::kMatrixSelector) {
    return evaluation.Map(ReadingOfMatrix(evaluation, expr.As<MatrixSelector>(),
                                          grid, newest_only, new_mapper),
                          sink);
  }
  const std::unique_ptr<RangeMapper> mapper = new_mapper(&evaluation.tally());
  Column column;
  std::int64_t seen = 0;
  return ReadSubquery(evaluation, expr.As<SubqueryExpr>(), grid, &seen,
                      [&](RangeSeries& series) -> absl::Status {
                        NARTHEX_ASSIGN_OR_RETURN(const bool kept,
                                                 mapper->Map(series, &column));
                        return kept ? sink(column) : absl::OkStatus();
                      });
}

}  // namespace narthex::promql
