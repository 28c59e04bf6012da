#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "libs/base/float_format.h"
#include "libs/base/status.h"
#include "libs/promql/eval_nodes.h"
#include "libs/promql/quantile.h"
#include "libs/promql/quantile_histogram.h"

namespace narthex::promql {
namespace {

/// The series of one classic histogram: one a bucket, sorted by bound.
struct Histogram {
  model::Labels labels;  // Without the bound; with the name.
  std::vector<std::pair<double, std::size_t>> buckets;  // Bound, column.
};

struct Histograms {
  Columns columns;
  std::vector<Histogram> list;
  std::vector<std::size_t> native;  // Columns that have native histograms.
};

/// Where a native histogram meets a classic one with the same labels neither
/// counts.
void DropMixed(Evaluation& evaluation, PositionRange position,
               const absl::flat_hash_map<model::Labels, std::size_t>& index,
               Histograms* histograms) {
  const bool delayed = evaluation.settings().delayed_name_removal;
  for (const std::size_t native : histograms->native) {
    Column& column = histograms->columns.list[native];
    const auto it = index.find(column.labels);
    if (it == index.end()) continue;
    for (std::size_t step = 0; step < column.values.size(); ++step) {
      if (!column.HasHistogram(step)) continue;
      bool mixed = false;
      for (const auto& bucket : histograms->list[it->second].buckets) {
        Column& classic = histograms->columns.list[bucket.second];
        mixed = mixed || IsPresent(classic.values[step]);
        classic.values[step] = Absent();
      }
      if (!mixed) continue;
      column.histograms[step] = nullptr;
      evaluation.annotations().MixedClassicNative(
          delayed ? column.labels.metric_name() : absl::string_view(),
          position);
    }
  }
}

/// Sorts the series of a vector into histograms. Series without a usable bound
/// are left out with a warning.
absl::StatusOr<Histograms> CollectHistograms(Evaluation& evaluation,
                                             const Expr& vector,
                                             const StepGrid& grid) {
  const bool delayed = evaluation.settings().delayed_name_removal;
  NARTHEX_ASSIGN_OR_RETURN(Columns columns, evaluation.Collect(vector, grid));
  Histograms histograms{std::move(columns), {}, {}};
  AliveCheck alive(evaluation);
  absl::flat_hash_map<model::Labels, std::size_t> index;
  for (std::size_t i = 0; i < histograms.columns.list.size(); ++i) {
    NARTHEX_RETURN_IF_ERROR(alive.Pass(0));
    const Column& column = histograms.columns.list[i];
    const model::Labels& labels = column.labels;
    if (column.HasHistograms()) {
      histograms.native.push_back(i);
      if (CountPresent(column.values) == 0) continue;
    }
    const absl::string_view text = labels.Get(model::kBucketLabel);
    const auto bound = base::ParseFloat(text);
    if (!bound.ok()) {
      evaluation.annotations().BadBucketLabel(
          delayed ? labels.metric_name() : absl::string_view(), text,
          Unwrap(vector).position);
      continue;
    }
    model::LabelsBuilder builder(labels);
    builder.Del(model::kBucketLabel);
    model::Labels key = builder.Build();
    const auto [it, is_new] = index.try_emplace(key, histograms.list.size());
    if (is_new) histograms.list.push_back({std::move(key), {}});
    histograms.list[it->second].buckets.emplace_back(*bound, i);
  }
  for (Histogram& histogram : histograms.list) {
    std::stable_sort(
        histogram.buckets.begin(), histogram.buckets.end(),
        [](const auto& a, const auto& b) { return a.first < b.first; });
  }
  DropMixed(evaluation, Unwrap(vector).position, index, &histograms);
  return histograms;
}

/// Calls `function(buckets, step)` for every step at which the histogram has
/// buckets, and takes what it gives for the value.
template <typename Function>
std::vector<double> ValuesOf(const Histogram& histogram, const Columns& columns,
                             const StepGrid& grid, const Function& function) {
  std::vector<double> values(grid.count);
  std::vector<Bucket> buckets;
  for (std::size_t step = 0; step < grid.count; ++step) {
    buckets.clear();
    for (const auto& [bound, column] : histogram.buckets) {
      const double count = columns.list[column].values[step];
      if (IsPresent(count)) buckets.push_back({bound, count});
    }
    values[step] = buckets.empty() ? Absent() : function(&buckets, step);
  }
  return values;
}

/// Names as they leave a histogram function.
model::Labels ResultLabels(const Evaluation& evaluation,
                           const model::Labels& labels) {
  return evaluation.settings().delayed_name_removal ? labels
                                                    : WithoutMetadata(labels);
}

absl::Status Emit(ColumnMerger& merger, ColumnSink sink) {
  for (Column& column : merger.columns()) {
    NARTHEX_RETURN_IF_ERROR(sink(column));
  }
  return absl::OkStatus();
}

/// The quantiles of one histogram; repaired counts become an annotation.
std::vector<double> QuantilesOf(Evaluation& evaluation,
                                const Histogram& histogram,
                                const Columns& columns, const StepGrid& grid,
                                const std::vector<double>& phi,
                                PositionRange position) {
  const auto at = [&](std::vector<Bucket>* buckets, std::size_t step) {
    const BucketQuantileResult result = BucketQuantile(phi[step], buckets);
    if (result.forced_monotonicity) {
      const std::int64_t time_ms = grid.At(step);
      evaluation.annotations().ForcedMonotonicity(
          evaluation.settings().delayed_name_removal
              ? histogram.labels.metric_name()
              : absl::string_view(),
          position,
          {time_ms, time_ms, result.min_bucket, result.max_bucket,
           result.max_difference});
    }
    return result.quantile;
  };
  return ValuesOf(histogram, columns, grid, at);
}

/// What `estimate(histogram, step)` gives for the native histograms of a
/// column.
template <typename Estimate>
std::vector<double> EstimatesOf(const Column& column,
                                const Estimate& estimate) {
  std::vector<double> values(column.values.size(), Absent());
  for (std::size_t step = 0; step < values.size(); ++step) {
    if (!column.HasHistogram(step)) continue;
    values[step] = estimate(*column.histograms[step], step);
  }
  return values;
}

/// The name annotations give a native histogram: with delayed removal of names
/// it is still there.
absl::string_view NameOf(const Evaluation& evaluation, const Column& column) {
  return evaluation.settings().delayed_name_removal
             ? column.labels.metric_name()
             : absl::string_view();
}

std::vector<double> NativeQuantilesOf(Evaluation& evaluation,
                                      const Column& column,
                                      const std::vector<double>& phi,
                                      PositionRange position) {
  return EstimatesOf(column, [&](const model::FloatHistogram& histogram,
                                 std::size_t step) {
    const HistogramEstimate quantile = HistogramQuantile(phi[step], histogram);
    if (quantile.nan == NanEffect::kResultIsNan) {
      evaluation.annotations().QuantileIsNan(NameOf(evaluation, column),
                                             position);
    } else if (quantile.nan == NanEffect::kSkewed) {
      evaluation.annotations().QuantileIsSkewed(NameOf(evaluation, column),
                                                position);
    }
    return quantile.value;
  });
}

void WarnOfInvalid(Evaluation& evaluation, const std::vector<double>& phi,
                   PositionRange position) {
  for (const double value : phi) {
    if (!(value >= 0 && value <= 1)) {
      evaluation.annotations().InvalidQuantile(value, position);
    }
  }
}

/// histogram_quantile(phi, v)
absl::Status QuantileFunction(Evaluation& evaluation, const Call& call,
                              const StepGrid& grid, ColumnSink sink) {
  NARTHEX_ASSIGN_OR_RETURN(const Scalars scalars,
                           evaluation.Scalar(*call.args[0], grid));
  const std::vector<double>& phi = scalars.values;
  WarnOfInvalid(evaluation, phi, Unwrap(*call.args[0]).position);
  NARTHEX_ASSIGN_OR_RETURN(const Histograms histograms,
                           CollectHistograms(evaluation, *call.args[1], grid));
  ColumnMerger merger;
  for (const std::size_t native : histograms.native) {
    const Column& source = histograms.columns.list[native];
    Column column{ResultLabels(evaluation, source.labels), true,
                  NativeQuantilesOf(evaluation, source, phi,
                                    Unwrap(*call.args[1]).position)};
    NARTHEX_RETURN_IF_ERROR(merger.Add(column));
  }
  for (const Histogram& histogram : histograms.list) {
    Column column{ResultLabels(evaluation, histogram.labels), true,
                  QuantilesOf(evaluation, histogram, histograms.columns, grid,
                              phi, Unwrap(*call.args[1]).position)};
    NARTHEX_RETURN_IF_ERROR(merger.Add(column));
  }
  return Emit(merger, sink);
}

/// As OpenMetrics writes a quantile: always recognisable as a float.
std::string FormatQuantileLabel(double phi) {
  std::string text = base::FormatFloatG(phi);
  if (text.find_first_of(".eIN") == std::string::npos) text += ".0";
  return text;
}

/// Adds quantiles, one for each step, to the series that have the quantile for
/// a label. It may change from step to step, and the series with it.
absl::Status AddLabelled(const model::Labels& base, const std::string& label,
                         const std::vector<double>& phi,
                         const std::vector<double>& quantiles,
                         ColumnMerger* merger) {
  for (std::size_t step = 0; step < quantiles.size(); ++step) {
    if (IsAbsent(quantiles[step])) continue;
    model::LabelsBuilder builder(base);
    builder.Set(label, FormatQuantileLabel(phi[step]));
    Column& column = merger->Get(builder.Build(), true, quantiles.size());
    if (IsPresent(column.values[step])) return RepeatedLabelsError();
    column.values[step] = quantiles[step];
  }
  return absl::OkStatus();
}

/// histogram_quantiles(v, "label", phi...)
absl::Status QuantilesFunction(Evaluation& evaluation, const Call& call,
                               const StepGrid& grid, ColumnSink sink) {
  std::vector<Scalars> phis;
  for (std::size_t i = 2; i < call.args.size(); ++i) {
    NARTHEX_ASSIGN_OR_RETURN(Scalars phi,
                             evaluation.Scalar(*call.args[i], grid));
    WarnOfInvalid(evaluation, phi.values, Unwrap(*call.args[i]).position);
    phis.push_back(std::move(phi));
  }
  NARTHEX_ASSIGN_OR_RETURN(const Histograms histograms,
                           CollectHistograms(evaluation, *call.args[0], grid));
  ColumnMerger merger;
  const std::string& label = StringArgument(call, 1);
  const PositionRange position = Unwrap(*call.args[0]).position;
  for (const Scalars& scalars : phis) {
    const std::vector<double>& phi = scalars.values;
    for (const std::size_t native : histograms.native) {
      const Column& source = histograms.columns.list[native];
      NARTHEX_RETURN_IF_ERROR(AddLabelled(
          ResultLabels(evaluation, source.labels), label, phi,
          NativeQuantilesOf(evaluation, source, phi, position), &merger));
    }
    for (const Histogram& histogram : histograms.list) {
      NARTHEX_RETURN_IF_ERROR(
          AddLabelled(ResultLabels(evaluation, histogram.labels), label, phi,
                      QuantilesOf(evaluation, histogram, histograms.columns,
                                  grid, phi, position),
                      &merger));
    }
  }
  return Emit(merger, sink);
}

/// histogram_fraction(lower, upper, v)
absl::Status FractionFunction(Evaluation& evaluation, const Call& call,
                              const StepGrid& grid, ColumnSink sink) {
  NARTHEX_ASSIGN_OR_RETURN(const Scalars lower,
                           evaluation.Scalar(*call.args[0], grid));
  NARTHEX_ASSIGN_OR_RETURN(const Scalars upper,
                           evaluation.Scalar(*call.args[1], grid));
  NARTHEX_ASSIGN_OR_RETURN(const Histograms histograms,
                           CollectHistograms(evaluation, *call.args[2], grid));
  const auto fraction = [&](std::vector<Bucket>* buckets, std::size_t step) {
    return BucketFraction(lower.values[step], upper.values[step], buckets);
  };
  const auto native_fraction = [&](const Column& column) {
    return EstimatesOf(
        column, [&](const model::FloatHistogram& histogram, std::size_t step) {
          const HistogramEstimate estimate = HistogramFraction(
              lower.values[step], upper.values[step], histogram);
          if (estimate.nan != NanEffect::kNone) {
            evaluation.annotations().FractionHasNan(
                NameOf(evaluation, column), Unwrap(*call.args[2]).position);
          }
          return estimate.value;
        });
  };
  ColumnMerger merger;
  for (const std::size_t native : histograms.native) {
    const Column& source = histograms.columns.list[native];
    Column column{ResultLabels(evaluation, source.labels), true,
                  native_fraction(source)};
    NARTHEX_RETURN_IF_ERROR(merger.Add(column));
  }
  for (const Histogram& histogram : histograms.list) {
    Column column{ResultLabels(evaluation, histogram.labels), true,
                  ValuesOf(histogram, histograms.columns, grid, fraction)};
    NARTHEX_RETURN_IF_ERROR(merger.Add(column));
  }
  return Emit(merger, sink);
}

double CountOf(const model::FloatHistogram& h) { return h.count; }
double SumOf(const model::FloatHistogram& h) { return h.sum; }
double MeanOf(const model::FloatHistogram& h) { return h.sum / h.count; }
double DeviationOf(const model::FloatHistogram& h) {
  return std::sqrt(HistogramVariance(h));
}

/// histogram_count(v) and its kin look at native histograms alone: of floats
/// nothing remains.
template <double (*kFunction)(const model::FloatHistogram&)>
absl::Status NativeOnly(Evaluation& evaluation, const Call& call,
                        const StepGrid& grid, ColumnSink sink) {
  NameDropper dropper(evaluation, *call.args[0], NameDropper::Repeats::kMerge,
                      sink);
  NARTHEX_RETURN_IF_ERROR(evaluation.Vector(
      *call.args[0], grid, [&](Column& column) -> absl::Status {
        if (!column.HasHistograms()) return absl::OkStatus();
        column.values = EstimatesOf(
            column, [](const model::FloatHistogram& histogram, std::size_t) {
              return kFunction(histogram);
            });
        column.histograms.clear();
        return dropper.Add(column);
      }));
  return dropper.Finish();
}

using Table = absl::flat_hash_map<absl::string_view, VectorFunction>;

}  // namespace

VectorFunction FindHistogramFunction(absl::string_view name) {
  static const Table* const kTable = new Table{
      {"histogram_quantile", QuantileFunction},
      {"histogram_quantiles", QuantilesFunction},
      {"histogram_fraction", FractionFunction},
      {"histogram_count", NativeOnly<CountOf>},
      {"histogram_sum", NativeOnly<SumOf>},
      {"histogram_avg", NativeOnly<MeanOf>},
      {"histogram_stddev", NativeOnly<DeviationOf>},
      {"histogram_stdvar", NativeOnly<HistogramVariance>},
  };
  const auto it = kTable->find(name);
  return it == kTable->end() ? nullptr : it->second;
}

}  // namespace narthex::promql
