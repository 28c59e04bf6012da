#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "libs/base/float_format.h"
#include "libs/base/status.h"
#include "libs/promql/eval_nodes.h"
#include "libs/promql/quantile.h"

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
};

/// Sorts the series of a vector into histograms. Series without a usable bound
/// are left out with a warning.
absl::StatusOr<Histograms> CollectHistograms(Evaluation& evaluation,
                                             const Expr& vector,
                                             const StepGrid& grid) {
  const bool delayed = evaluation.settings().delayed_name_removal;
  NARTHEX_ASSIGN_OR_RETURN(Columns columns, evaluation.Collect(vector, grid));
  Histograms histograms{std::move(columns), {}};
  absl::flat_hash_map<model::Labels, std::size_t> index;
  for (std::size_t i = 0; i < histograms.columns.list.size(); ++i) {
    const model::Labels& labels = histograms.columns.list[i].labels;
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

void WarnOfInvalid(Evaluation& evaluation, const std::vector<double>& phi,
                   PositionRange position) {
  for (const double value : phi) {
    if (!(value >= 0 && value <= 1)) {
      evaluation.annotations().InvalidQuantile(value, position);
    }
  }
}

/// histogram_quantile(phi, v)
absl::Status HistogramQuantile(Evaluation& evaluation, const Call& call,
                               const StepGrid& grid, ColumnSink sink) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<double> phi,
                           evaluation.Scalar(*call.args[0], grid));
  WarnOfInvalid(evaluation, phi, Unwrap(*call.args[0]).position);
  NARTHEX_ASSIGN_OR_RETURN(const Histograms histograms,
                           CollectHistograms(evaluation, *call.args[1], grid));
  ColumnMerger merger;
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

/// The columns of histogram_quantiles() for one of its quantiles.
absl::Status AddLabelledQuantiles(
    Evaluation& evaluation, const Histogram& histogram, const Columns& columns,
    const StepGrid& grid, const std::vector<double>& phi,
    const std::string& label, PositionRange position, ColumnMerger* merger) {
  const std::vector<double> quantiles =
      QuantilesOf(evaluation, histogram, columns, grid, phi, position);
  const model::Labels base = ResultLabels(evaluation, histogram.labels);
  for (std::size_t step = 0; step < grid.count; ++step) {
    if (IsAbsent(quantiles[step])) continue;
    model::LabelsBuilder builder(base);
    builder.Set(label, FormatQuantileLabel(phi[step]));
    // The quantile may change from step to step, and its label with it.
    Column& column = merger->Get(builder.Build(), true, grid.count);
    if (IsPresent(column.values[step])) return RepeatedLabelsError();
    column.values[step] = quantiles[step];
  }
  return absl::OkStatus();
}

/// histogram_quantiles(v, "label", phi...)
absl::Status HistogramQuantiles(Evaluation& evaluation, const Call& call,
                                const StepGrid& grid, ColumnSink sink) {
  std::vector<std::vector<double>> phis;
  for (std::size_t i = 2; i < call.args.size(); ++i) {
    NARTHEX_ASSIGN_OR_RETURN(std::vector<double> phi,
                             evaluation.Scalar(*call.args[i], grid));
    WarnOfInvalid(evaluation, phi, Unwrap(*call.args[i]).position);
    phis.push_back(std::move(phi));
  }
  NARTHEX_ASSIGN_OR_RETURN(const Histograms histograms,
                           CollectHistograms(evaluation, *call.args[0], grid));
  ColumnMerger merger;
  for (const std::vector<double>& phi : phis) {
    for (const Histogram& histogram : histograms.list) {
      NARTHEX_RETURN_IF_ERROR(AddLabelledQuantiles(
          evaluation, histogram, histograms.columns, grid, phi,
          StringArgument(call, 1), Unwrap(*call.args[0]).position, &merger));
    }
  }
  return Emit(merger, sink);
}

/// histogram_fraction(lower, upper, v)
absl::Status HistogramFraction(Evaluation& evaluation, const Call& call,
                               const StepGrid& grid, ColumnSink sink) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<double> lower,
                           evaluation.Scalar(*call.args[0], grid));
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<double> upper,
                           evaluation.Scalar(*call.args[1], grid));
  NARTHEX_ASSIGN_OR_RETURN(const Histograms histograms,
                           CollectHistograms(evaluation, *call.args[2], grid));
  const auto fraction = [&](std::vector<Bucket>* buckets, std::size_t step) {
    return BucketFraction(lower[step], upper[step], buckets);
  };
  ColumnMerger merger;
  for (const Histogram& histogram : histograms.list) {
    Column column{ResultLabels(evaluation, histogram.labels), true,
                  ValuesOf(histogram, histograms.columns, grid, fraction)};
    NARTHEX_RETURN_IF_ERROR(merger.Add(column));
  }
  return Emit(merger, sink);
}

/// histogram_count(v) and its kin look at native histograms alone: of a vector
/// of floats nothing remains.
absl::Status NativeOnly(Evaluation& evaluation, const Call& call,
                        const StepGrid& grid, ColumnSink) {
  return evaluation.Vector(*call.args[0], grid,
                           [](Column&) { return absl::OkStatus(); });
}

using Table = absl::flat_hash_map<absl::string_view, VectorFunction>;

}  // namespace

VectorFunction FindHistogramFunction(absl::string_view name) {
  static const Table* const kTable = new Table{
      {"histogram_quantile", HistogramQuantile},
      {"histogram_quantiles", HistogramQuantiles},
      {"histogram_fraction", HistogramFraction},
      {"histogram_count", NativeOnly},
      {"histogram_sum", NativeOnly},
      {"histogram_avg", NativeOnly},
      {"histogram_stddev", NativeOnly},
      {"histogram_stdvar", NativeOnly},
  };
  const auto it = kTable->find(name);
  return it == kTable->end() ? nullptr : it->second;
}

}  // namespace narthex::promql
