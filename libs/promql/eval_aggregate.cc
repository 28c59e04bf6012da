#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "libs/base/float_format.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/model/histogram_buckets.h"
#include "libs/promql/aggregate.h"
#include "libs/promql/aggregate_histogram.h"
#include "libs/promql/eval_nodes.h"
#include "libs/promql/kahan.h"
#include "libs/promql/quantile.h"

namespace narthex::promql {
namespace {

/// What a group keeps for each step. `value` is Absent() before the first.
class GroupColumns {
 public:
  virtual ~GroupColumns() = default;
  virtual void Add(const std::vector<double>& values) = 0;
  /// Whether the step has had a value.
  virtual bool Has(std::size_t) const { return false; }
  /// The results; called once, at the end.
  virtual std::vector<double> Finish() = 0;
};

class SumColumns : public GroupColumns {
 public:
  explicit SumColumns(std::size_t steps)
      : sum_(steps, Absent()), compensation_(steps, 0) {}
  void Add(const std::vector<double>& values) override {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (IsAbsent(values[i])) continue;
      if (IsAbsent(sum_[i])) {
        sum_[i] = values[i];
      } else {
        KahanAdd(values[i], &sum_[i], &compensation_[i]);
      }
    }
  }
  bool Has(std::size_t step) const override { return IsPresent(sum_[step]); }
  std::vector<double> Finish() override {
    for (std::size_t i = 0; i < sum_.size(); ++i) {
      if (IsPresent(sum_[i])) sum_[i] += compensation_[i];
    }
    return std::move(sum_);
  }

 private:
  std::vector<double> sum_;
  std::vector<double> compensation_;
};

class AvgColumns : public GroupColumns {
 public:
  explicit AvgColumns(std::size_t steps) : means_(steps) {}
  void Add(const std::vector<double>& values) override {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (IsPresent(values[i])) means_[i].Add(values[i]);
    }
  }
  bool Has(std::size_t step) const override { return means_[step].count > 0; }
  std::vector<double> Finish() override {
    std::vector<double> results(means_.size());
    for (std::size_t i = 0; i < results.size(); ++i) {
      results[i] = means_[i].count == 0 ? Absent() : means_[i].Mean();
    }
    return results;
  }

 private:
  std::vector<CompensatedMean> means_;
};

/// min, max, group and count: one number a step, changed by kCombine.
template <double (*kFirst)(double), double (*kCombine)(double, double)>
class FoldColumns : public GroupColumns {
 public:
  explicit FoldColumns(std::size_t steps) : values_(steps, Absent()) {}
  void Add(const std::vector<double>& values) override {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (IsAbsent(values[i])) continue;
      values_[i] = IsAbsent(values_[i]) ? kFirst(values[i])
                                        : kCombine(values_[i], values[i]);
    }
  }
  std::vector<double> Finish() override { return std::move(values_); }

 private:
  std::vector<double> values_;
};

double Itself(double value) { return value; }
double One(double) { return 1; }
double Keep(double held, double) { return held; }
double Next(double held, double) { return held + 1; }
double Larger(double held, double value) {
  return held < value || std::isnan(held) ? value : held;
}
double Smaller(double held, double value) {
  return held > value || std::isnan(held) ? value : held;
}

/// stddev and stdvar, after Welford.
class VarianceColumns : public GroupColumns {
 public:
  VarianceColumns(std::size_t steps, bool root) : steps_(steps), root_(root) {}
  void Add(const std::vector<double>& values) override {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (IsPresent(values[i])) AddTo(values[i], &steps_[i]);
    }
  }
  std::vector<double> Finish() override {
    std::vector<double> results(steps_.size());
    for (std::size_t i = 0; i < results.size(); ++i) {
      const double variance = steps_[i].squares / steps_[i].count;
      results[i] = root_ ? std::sqrt(variance) : variance;
      if (steps_[i].count == 0) results[i] = Absent();
    }
    return results;
  }

 private:
  struct Step {
    double count = 0;
    double mean = 0;
    double squares = 0;
  };
  static void AddTo(double value, Step* step) {
    step->count += 1;
    if (step->count == 1) {
      step->mean = value;
      step->squares =
          std::isfinite(value) ? 0 : std::numeric_limits<double>::quiet_NaN();
      return;
    }
    const double delta = value - step->mean;
    step->mean += delta / step->count;
    step->squares += delta * (value - step->mean);
  }

  std::vector<Step> steps_;
  const bool root_;
};

class QuantileColumns : public GroupColumns {
 public:
  explicit QuantileColumns(const std::vector<double>& phi)
      : phi_(phi), values_(phi.size()) {}
  void Add(const std::vector<double>& values) override {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (IsPresent(values[i])) values_[i].push_back(values[i]);
    }
  }
  std::vector<double> Finish() override {
    std::vector<double> results(values_.size(), Absent());
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (!values_[i].empty()) results[i] = Quantile(phi_[i], &values_[i]);
    }
    return results;
  }

 private:
  const std::vector<double>& phi_;
  std::vector<std::vector<double>> values_;
};

std::unique_ptr<GroupColumns> NewGroup(AggregateOp op, std::size_t steps,
                                       const std::vector<double>& parameter) {
  switch (op) {
    case AggregateOp::kSum:
      return std::make_unique<SumColumns>(steps);
    case AggregateOp::kAvg:
      return std::make_unique<AvgColumns>(steps);
    case AggregateOp::kMin:
      return std::make_unique<FoldColumns<Itself, Smaller>>(steps);
    case AggregateOp::kMax:
      return std::make_unique<FoldColumns<Itself, Larger>>(steps);
    case AggregateOp::kCount:
      return std::make_unique<FoldColumns<One, Next>>(steps);
    case AggregateOp::kStddev:
    case AggregateOp::kStdvar:
      return std::make_unique<VarianceColumns>(steps,
                                               op == AggregateOp::kStddev);
    case AggregateOp::kQuantile:
      return std::make_unique<QuantileColumns>(parameter);
    default:
      return std::make_unique<FoldColumns<One, Keep>>(steps);
  }
}

/// Warns of each sort of phi that is no quantile.
void CheckPhi(Evaluation& evaluation, const std::vector<double>& phi,
              PositionRange position) {
  double max = -std::numeric_limits<double>::infinity();
  double min = std::numeric_limits<double>::infinity();
  bool nan = false;
  for (const double value : phi) {
    nan = nan || std::isnan(value);
    max = std::max(max, value);
    min = std::min(min, value);
  }
  Annotations& annotations = evaluation.annotations();
  if (nan) {
    // It hides whatever else is wrong.
    annotations.InvalidQuantile(std::numeric_limits<double>::quiet_NaN(),
                                position);
    return;
  }
  if (max > 1) annotations.InvalidQuantile(max, position);
  if (min < 0) annotations.InvalidQuantile(min, position);
}

/// count_values: one series for each group and value.
absl::Status CountValues(Evaluation& evaluation, const AggregateExpr& aggregate,
                         const StepGrid& grid, ColumnSink sink) {
  const std::string& name = Unwrap(*aggregate.param).As<StringLiteral>().value;
  if (!model::IsUtf8Name(name)) {
    return absl::FailedPreconditionError(
        absl::StrCat("invalid label name ", base::Quote(name)));
  }
  std::vector<std::string> labels = aggregate.grouping;
  if (!aggregate.without) labels.push_back(name);
  const Grouping grouping(std::move(labels), aggregate.without);
  ColumnMerger counts;
  NARTHEX_RETURN_IF_ERROR(
      evaluation.Vector(*aggregate.expr, grid, [&](Column& column) {
        // Neighbouring steps mostly have the same value.
        Column* into = nullptr;
        double previous = Absent();
        for (std::size_t i = 0; i < grid.count; ++i) {
          if (!column.Has(i)) continue;
          const double value = column.values[i];
          // Bit by bit: -0 has a label of its own.
          if (into == nullptr || column.HasHistogram(i) ||
              std::bit_cast<std::uint64_t>(value) !=
                  std::bit_cast<std::uint64_t>(previous)) {
            model::LabelsBuilder builder(column.labels);
            builder.Set(name, column.HasHistogram(i)
                                  ? model::ToString(*column.histograms[i])
                                  : base::FormatFloat(value));
            into =
                &counts.Get(grouping.KeyOf(builder.Build()), false, grid.count);
            previous = value;
          }
          double& count = into->values[i];
          count = IsAbsent(count) ? 1 : count + 1;
        }
        return absl::OkStatus();
      }));
  for (Column& column : counts.columns()) {
    NARTHEX_RETURN_IF_ERROR(sink(column));
  }
  return absl::OkStatus();
}

}  // namespace

Grouping::Grouping(std::vector<std::string> labels, bool without)
    : labels_(std::move(labels)), without_(without) {
  std::sort(labels_.begin(), labels_.end());
}

model::Labels Grouping::KeyOf(const model::Labels& labels) const {
  if (without_) return labels.Without(labels_);
  return labels_.empty() ? model::Labels() : labels.Of(labels_);
}

absl::Status EvaluateAggregate(Evaluation& evaluation,
                               const AggregateExpr& aggregate,
                               const StepGrid& grid, ColumnSink sink) {
  if (aggregate.op == AggregateOp::kCountValues) {
    return CountValues(evaluation, aggregate, grid, sink);
  }
  std::vector<double> parameter;
  if (HasParameter(aggregate.op)) {
    NARTHEX_ASSIGN_OR_RETURN(parameter,
                             evaluation.Scalar(*aggregate.param, grid));
  }
  if (SelectsSeries(aggregate.op)) {
    return EvaluateSelection(evaluation, aggregate, parameter, grid, sink);
  }
  struct Group {
    Column column;
    std::unique_ptr<GroupColumns> state;
    std::unique_ptr<HistogramGroup> histograms = nullptr;
  };
  const PositionRange position = Unwrap(*aggregate.expr).position;
  const auto add_histograms = [&](Column& column, Group* group) {
    switch (aggregate.op) {
      case AggregateOp::kCount:
      case AggregateOp::kGroup:
        for (std::size_t i = 0; i < grid.count; ++i) {
          if (column.HasHistogram(i)) column.values[i] = 1;
        }
        return;
      case AggregateOp::kSum:
      case AggregateOp::kAvg:
        if (group->histograms == nullptr) {
          group->histograms = std::make_unique<HistogramGroup>(
              aggregate.op == AggregateOp::kSum ? HistogramGroup::Kind::kSum
                                                : HistogramGroup::Kind::kMean,
              grid.count, position);
        }
        group->histograms->Add(
            column, [&](std::size_t step) { return group->state->Has(step); },
            &evaluation.annotations());
        return;
      default:
        evaluation.annotations().IgnoredInAggregation(
            AggregateOpText(aggregate.op), position);
    }
  };
  const Grouping grouping(aggregate.grouping, aggregate.without);
  std::vector<Group> groups;
  absl::flat_hash_map<model::Labels, std::size_t> index;
  SampleReservation held(&evaluation.budget());
  const auto add = [&](Column& column) -> absl::Status {
    model::Labels key = grouping.KeyOf(column.labels);
    const auto [it, is_new] = index.try_emplace(key, groups.size());
    if (is_new) {
      NARTHEX_RETURN_IF_ERROR(held.Add(grid.count));
      groups.push_back({{std::move(key), false, {}},
                        NewGroup(aggregate.op, grid.count, parameter)});
    }
    Group& group = groups[it->second];
    group.column.drop_name = group.column.drop_name || column.drop_name;
    if (column.HasHistograms()) add_histograms(column, &group);
    group.state->Add(column.values);
    return absl::OkStatus();
  };
  NARTHEX_RETURN_IF_ERROR(evaluation.Vector(*aggregate.expr, grid, add));
  if (aggregate.op == AggregateOp::kQuantile) {
    CheckPhi(evaluation, parameter, Unwrap(*aggregate.param).position);
  }
  for (Group& group : groups) {
    group.column.values = group.state->Finish();
    if (group.histograms != nullptr) {
      group.histograms->Finish(&group.column, &evaluation.annotations());
    }
    if (CountPresent(group.column) == 0) continue;
    NARTHEX_RETURN_IF_ERROR(sink(group.column));
  }
  return absl::OkStatus();
}

}  // namespace narthex::promql
