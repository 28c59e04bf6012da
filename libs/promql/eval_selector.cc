#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "libs/base/status.h"
#include "libs/model/histogram_arithmetic.h"
#include "libs/promql/eval_nodes.h"
#include "libs/promql/interpolate_histogram.h"

namespace narthex::promql {
namespace {

/// The times a selector looks at: first_ms, then step_ms apart.
struct References {
  std::int64_t first_ms = 0;
  std::int64_t step_ms = 0;
};

References ReferencesOf(const TimeModifiers& time, const StepGrid& grid) {
  if (time.at == TimeModifiers::At::kNone) {
    return {grid.start_ms - time.offset_ms, grid.step_ms};
  }
  return {time.at_ms - time.offset_ms, 0};
}

/// The position of the newest sample not after each reference, provided it is
/// younger than `lookback_ms`: calls found(step, sample) or missed(step).
template <typename Found, typename Missed>
void LookBack(const model::SampleColumns& samples, const References& references,
              std::size_t steps, std::int64_t lookback_ms, const Found& found,
              const Missed& missed) {
  const std::int64_t* times = samples.timestamps_ms.data();
  const std::size_t size = samples.size();
  std::size_t next = 0;
  std::int64_t reference = references.first_ms;
  for (std::size_t i = 0; i < steps; ++i, reference += references.step_ms) {
    while (next < size && times[next] <= reference) ++next;
    if (next > 0 && times[next - 1] > reference - lookback_ms) {
      found(i, next - 1);
    } else {
      missed(i);
    }
  }
}

bool IsHistogram(const model::SampleColumns& samples, std::size_t i) {
  return !samples.histograms.empty() && samples.histograms[i] != nullptr;
}

/// A staleness marker that is found is copied as such: it reads as absent.
void TakeValues(const model::SampleColumns& samples,
                const References& references, std::int64_t lookback_ms,
                Column* out) {
  std::vector<double>& values = out->values;
  LookBack(
      samples, references, values.size(), lookback_ms,
      [&](std::size_t step, std::size_t i) {
        values[step] = samples.values[i];
      },
      [&](std::size_t step) { values[step] = Absent(); });
  if (samples.histograms.empty()) return;
  LookBack(
      samples, references, values.size(), lookback_ms,
      [&](std::size_t step, std::size_t i) {
        if (!IsHistogram(samples, i)) return;
        out->SetHistogram(step, samples.histograms[i]);
      },
      [](std::size_t) {});
}

/// The time of a sample in seconds. Histograms stay as they are when
/// `keep_histograms`.
template <bool kKeepHistograms>
void TakeTimes(const model::SampleColumns& samples,
               const References& references, std::int64_t lookback_ms,
               Column* out) {
  std::vector<double>& values = out->values;
  LookBack(
      samples, references, values.size(), lookback_ms,
      [&](std::size_t step, std::size_t i) {
        if (kKeepHistograms && IsHistogram(samples, i)) {
          out->SetHistogram(step, samples.histograms[i]);
          return;
        }
        values[step] =
            IsAbsent(samples.values[i])
                ? Absent()
                : static_cast<double>(samples.timestamps_ms[i]) / 1000;
      },
      [&](std::size_t step) { values[step] = Absent(); });
}

/// When the counter of a sample began, in seconds; 0 where that is not known.
void TakeStartTimes(const model::SampleColumns& samples,
                    const References& references, std::int64_t lookback_ms,
                    Column* out) {
  std::vector<double>& values = out->values;
  LookBack(
      samples, references, values.size(), lookback_ms,
      [&](std::size_t step, std::size_t i) {
        const std::int64_t start_ms =
            samples.starts_ms.empty() ? 0 : samples.starts_ms[i];
        values[step] = IsAbsent(samples.values[i])
                           ? Absent()
                           : static_cast<double>(start_ms) / 1000;
      },
      [&](std::size_t step) { values[step] = Absent(); });
}

/// Interpolates between the samples around each reference; after the last
/// sample its value stays.
void TakeSmoothed(const model::SampleColumns& samples,
                  const References& references, std::int64_t lookback_ms,
                  Column* out) {
  const auto& times = samples.timestamps_ms;
  std::int64_t reference = references.first_ms;
  for (double& value : out->values) {
    value = Absent();
    const auto at = std::lower_bound(times.begin(), times.end(), reference);
    const auto next = static_cast<std::size_t>(at - times.begin());
    const bool has_next = at != times.end() && *at <= reference + lookback_ms;
    const bool has_previous =
        next > 0 && times[next - 1] > reference - lookback_ms;
    if (has_next && *at == reference) {
      value = samples.values[next];
    } else if (has_previous && has_next) {
      const double before = samples.values[next - 1];
      value = before + (samples.values[next] - before) *
                           static_cast<double>(reference - times[next - 1]) /
                           static_cast<double>(times[next] - times[next - 1]);
    } else if (has_previous) {
      value = samples.values[next - 1];
    }
    reference += references.step_ms;
  }
}

void DropStaleMarkers(model::SampleColumns* samples) {
  std::size_t kept = 0;
  while (kept < samples->size() && !model::IsStaleNan(samples->values[kept])) {
    ++kept;
  }
  for (std::size_t i = kept; i < samples->size(); ++i) {
    if (model::IsStaleNan(samples->values[i])) continue;
    samples->timestamps_ms[kept] = samples->timestamps_ms[i];
    samples->values[kept] = samples->values[i];
    if (!samples->histograms.empty()) {
      samples->histograms[kept] = std::move(samples->histograms[i]);
    }
    if (!samples->starts_ms.empty()) {
      samples->starts_ms[kept] = samples->starts_ms[i];
    }
    ++kept;
  }
  samples->timestamps_ms.resize(kept);
  samples->values.resize(kept);
  if (!samples->histograms.empty()) samples->histograms.resize(kept);
  if (!samples->starts_ms.empty()) samples->starts_ms.resize(kept);
}

/// Drops all of histograms but their counts and sums, after the buckets have
/// told whether the counter began anew.
void KeepCounts(model::SampleColumns* samples) {
  model::HistogramPtr previous;
  for (model::HistogramPtr& histogram : samples->histograms) {
    if (histogram == nullptr) continue;
    auto counts = std::make_shared<model::FloatHistogram>();
    counts->schema = histogram->schema;
    counts->count = histogram->count;
    counts->sum = histogram->sum;
    counts->counter_reset = histogram->counter_reset;
    if (histogram->counter_reset == model::CounterReset::kUnknown &&
        previous != nullptr) {
      counts->counter_reset = model::DetectReset(*previous, *histogram)
                                  ? model::CounterReset::kReset
                                  : model::CounterReset::kNotReset;
    }
    previous = std::exchange(histogram, std::move(counts));
  }
}

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

/// Fills the values of a column from those at the references, as TakeValues().
using Take = void (*)(const model::SampleColumns& samples,
                      const References& references, std::int64_t lookback_ms,
                      Column* out);

/// Takes one value for each step.
class SelectorMapper : public SeriesMapper {
 public:
  SelectorMapper(const Evaluation& evaluation, const VectorSelector& selector,
                 const StepGrid& grid, Take take, std::int64_t shift_ms,
                 Tally* tally)
      : selector_(selector),
        steps_(grid.count),
        references_(ReferencesOf(selector.time, grid)),
        shift_ms_(shift_ms),
        lookback_ms_(evaluation.settings().lookback_delta_ms),
        counts_only_(evaluation.CountsOnly(selector)),
        take_(take),
        tally_(tally) {}

  absl::StatusOr<bool> Map(model::Labels& labels, model::SampleColumns& samples,
                           Column* out) override {
    if (counts_only_) KeepCounts(&samples);
    if (selector_.smoothed) DropStaleMarkers(&samples);
    out->values.resize(steps_);
    out->histograms.clear();
    if (selector_.smoothed && !samples.histograms.empty()) {
      TakeSmoothedHistograms(samples,
                             {references_.first_ms, references_.step_ms,
                              lookback_ms_, selector_.position},
                             labels.metric_name(), &tally_->annotations, out);
    } else {
      take_(samples, {references_.first_ms + shift_ms_, references_.step_ms},
            lookback_ms_, out);
    }
    const std::size_t present = SizeInSamples(*out);
    if (present == 0) return false;
    tally_->stats.total += static_cast<std::int64_t>(present);
    tally_->stats.read += static_cast<std::int64_t>(present);
    // Whoever keeps the column counts it for longer.
    tally_->largest = std::max(tally_->largest, present);
    std::swap(out->labels, labels);
    out->drop_name = false;
    return true;
  }

 private:
  const VectorSelector& selector_;
  const std::size_t steps_;
  const References references_;
  const std::int64_t shift_ms_;
  const std::int64_t lookback_ms_;
  const bool counts_only_;
  const Take take_;
  Tally* const tally_;
};

absl::Status SelectColumns(Evaluation& evaluation,
                           const VectorSelector& selector, const StepGrid& grid,
                           Take take, ColumnSink sink,
                           std::int64_t shift_ms = 0) {
  const std::int64_t lookback_ms = evaluation.settings().lookback_delta_ms;
  const References references = ReferencesOf(selector.time, grid);
  SelectorReading reading;
  reading.range.min_ms = references.first_ms - lookback_ms + 1;
  reading.range.max_ms =
      references.first_ms +
      references.step_ms * static_cast<std::int64_t>(grid.count - 1);
  if (selector.smoothed) reading.range.max_ms += lookback_ms;
  reading.step_ms = grid.step_ms;
  const bool one_time = grid.count == 1 || references.step_ms == 0;
  reading.newest_only = one_time && !selector.smoothed;
  reading.steps = grid.count;
  const auto new_mapper = [&](Tally* tally) -> std::unique_ptr<SeriesMapper> {
    return std::make_unique<SelectorMapper>(evaluation, selector, grid, take,
                                            shift_ms, tally);
  };
  return evaluation.Map(selector, reading, new_mapper, sink);
}

using RangeSink = absl::FunctionRef<absl::Status(RangeSeries& series)>;

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

absl::Status ReadSubquery(Evaluation& evaluation, const SubqueryExpr& subquery,
                          const StepGrid& grid, RangeSink sink) {
  const std::int64_t step_ms =
      subquery.step_ms != 0 ? subquery.step_ms
                            : evaluation.settings().default_subquery_step_ms;
  const StepGrid inner =
      InnerGrid(GeometryOf(subquery, grid), step_ms, grid.count);
  RangeSeries series;
  const auto forward = [&](Column& column) -> absl::Status {
    series.samples.clear();
    for (std::size_t i = 0; i < column.values.size(); ++i) {
      if (column.HasHistogram(i)) {
        series.samples.Append(inner.At(i), WithoutReset(column.histograms[i]));
      } else if (IsPresent(column.values[i])) {
        series.samples.Append(inner.At(i), column.values[i]);
      }
    }
    if (series.samples.empty()) return absl::OkStatus();
    SampleReservation held(&evaluation.budget());
    NARTHEX_RETURN_IF_ERROR(held.Add(SizeInSamples(series.samples)));
    series.labels = column.labels;
    series.drop_name = column.drop_name;
    return sink(series);
  };
  return evaluation.Vector(*subquery.expr, inner, forward);
}

}  // namespace

absl::Status EvaluateSelector(Evaluation& evaluation,
                              const VectorSelector& selector,
                              const StepGrid& grid, ColumnSink sink) {
  return SelectColumns(evaluation, selector, grid,
                       selector.smoothed ? TakeSmoothed : TakeValues, sink);
}

namespace {

/// timestamp(x @ t offset d) looks at t, not at t - d, but only among the
/// samples that x reads for itself. So does Prometheus, up to 3.14 at least.
std::int64_t ShiftOfTimes(const TimeModifiers& time) {
  return time.at == TimeModifiers::At::kNone ? 0 : time.offset_ms;
}

}  // namespace

absl::Status EvaluateSelectorTimes(Evaluation& evaluation,
                                   const VectorSelector& selector,
                                   const StepGrid& grid, ColumnSink sink) {
  return SelectColumns(evaluation, selector, grid, TakeTimes<false>, sink,
                       ShiftOfTimes(selector.time));
}

absl::Status EvaluateSelectorFloatTimes(Evaluation& evaluation,
                                        const VectorSelector& selector,
                                        const StepGrid& grid, ColumnSink sink) {
  return SelectColumns(evaluation, selector, grid, TakeTimes<true>, sink);
}

absl::Status EvaluateSelectorStartTimes(Evaluation& evaluation,
                                        const VectorSelector& selector,
                                        const StepGrid& grid, ColumnSink sink) {
  return SelectColumns(evaluation, selector, grid, TakeStartTimes, sink,
                       ShiftOfTimes(selector.time));
}

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
  return ReadSubquery(evaluation, expr.As<SubqueryExpr>(), grid, sink);
}

absl::Status MapRange(Evaluation& evaluation, const Expr& expr,
                      const StepGrid& grid, bool newest_only,
                      NewRangeMapper new_mapper, ColumnSink sink) {
  if (expr.kind == ExprKind::kMatrixSelector) {
    const auto& matrix = expr.As<MatrixSelector>();
    const bool counts_only = evaluation.CountsOnly(*matrix.selector);
    const auto new_matrix_mapper =
        [&](Tally* tally) -> std::unique_ptr<SeriesMapper> {
      return std::make_unique<MatrixMapper>(counts_only, new_mapper(tally),
                                            tally);
    };
    return evaluation.Map(*matrix.selector,
                          ReadingOf(evaluation, matrix, grid, newest_only),
                          new_matrix_mapper, sink);
  }
  const std::unique_ptr<RangeMapper> mapper = new_mapper(&evaluation.tally());
  Column column;
  return ReadSubquery(evaluation, expr.As<SubqueryExpr>(), grid,
                      [&](RangeSeries& series) -> absl::Status {
                        NARTHEX_ASSIGN_OR_RETURN(const bool kept,
                                                 mapper->Map(series, &column));
                        return kept ? sink(column) : absl::OkStatus();
                      });
}

}  // namespace narthex::promql
