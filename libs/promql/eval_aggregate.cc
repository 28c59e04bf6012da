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
#include "libs/promql/group_columns.h"

namespace narthex::promql {
namespace {

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

/// The groups of an aggregation that makes one series of each.
class Groups {
 public:
  /// `parameter` has a value for every step, if the aggregation has one.
  Groups(Evaluation& evaluation, const AggregateExpr& aggregate,
         const std::vector<double>& parameter, const StepGrid& grid)
      : evaluation_(evaluation),
        aggregate_(aggregate),
        parameter_(parameter),
        grid_(grid),
        position_(Unwrap(*aggregate.expr).position),
        grouping_(aggregate.grouping, aggregate.without),
        parts_(evaluation.ComesInParts(*aggregate.expr) ? PartsOf(aggregate.op)
                                                        : 0),
        held_(&evaluation.budget()) {}

  absl::Status Collect() {
    return evaluation_.Vector(*aggregate_.expr, grid_,
                              [this](Column& column) { return Add(column); });
  }

  absl::Status Finish(ColumnSink sink) {
    AliveCheck alive(evaluation_);
    for (Group& group : groups_) {
      if (parts_ > 0) NARTHEX_RETURN_IF_ERROR(CheckOrder(group));
      NARTHEX_ASSIGN_OR_RETURN(group.column.values, group.state->Finish(alive));
      if (group.histograms != nullptr) {
        group.histograms->Finish(&group.column, &evaluation_.annotations());
      }
      if (CountPresent(group.column) == 0) continue;
      NARTHEX_RETURN_IF_ERROR(sink(group.column));
    }
    return absl::OkStatus();
  }

  absl::Status FinishParts(ColumnSink sink) {
    for (Group& group : groups_) {
      NARTHEX_RETURN_IF_ERROR(CheckOrder(group));
      if (group.histograms != nullptr && group.histograms->KnowsResets()) {
        return absl::UnimplementedError("histograms may collide elsewhere");
      }
      std::vector<std::vector<double>> parts = group.state->Parts();
      for (std::size_t i = 0; i < parts.size(); ++i) {
        Column column{group.column.labels, group.column.drop_name,
                      std::move(parts[i])};
        if (i == 0 && group.histograms != nullptr) {
          group.histograms->Finish(&column, &evaluation_.annotations());
        }
        NARTHEX_RETURN_IF_ERROR(sink(column));
      }
    }
    return absl::OkStatus();
  }

 private:
  struct Group {
    Column column;
    std::unique_ptr<GroupColumns> state;
    std::unique_ptr<HistogramGroup> histograms = nullptr;
  };

  static std::size_t PartsOf(AggregateOp op) {
    return op == AggregateOp::kAvg ? 3 : 2;
  }

  absl::Status Add(Column& column) {
    model::Labels key = grouping_.KeyOf(column.labels);
    const auto [it, is_new] = index_.try_emplace(key, groups_.size());
    if (is_new) {
      NARTHEX_RETURN_IF_ERROR(held_.Add(grid_.count));
      groups_.push_back({{std::move(key), false, {}},
                         NewGroup(aggregate_.op, grid_.count, parameter_)});
    }
    Group& group = groups_[it->second];
    group.column.drop_name = group.column.drop_name || column.drop_name;
    if (column.HasHistograms()) AddHistograms(column, &group);
    if (aggregate_.op == AggregateOp::kQuantile) {
      // It keeps them all.
      NARTHEX_RETURN_IF_ERROR(held_.Add(CountPresent(column.values)));
    }
    if (parts_ == 0) {
      group.state->Add(column.values);
    } else {
      group.state->AddPart(next_part_, column.values);
      next_part_ = (next_part_ + 1) % parts_;
    }
    return absl::OkStatus();
  }

  void AddHistograms(Column& column, Group* group) {
    switch (aggregate_.op) {
      case AggregateOp::kCount:
      case AggregateOp::kGroup:
        for (std::size_t i = 0; i < grid_.count; ++i) {
          if (column.HasHistogram(i)) column.values[i] = 1;
        }
        return;
      case AggregateOp::kSum:
      case AggregateOp::kAvg:
        if (group->histograms == nullptr) {
          group->histograms = std::make_unique<HistogramGroup>(
              aggregate_.op == AggregateOp::kSum ? HistogramGroup::Kind::kSum
                                                 : HistogramGroup::Kind::kMean,
              grid_.count, position_);
        }
        group->histograms->Add(
            column, [&](std::size_t step) { return group->state->Has(step); },
            &evaluation_.annotations());
        return;
      default:
        evaluation_.annotations().IgnoredInAggregation(
            AggregateOpText(aggregate_.op), position_);
    }
  }

  /// kUnimplemented when parts of the group do not make its whole.
  absl::Status CheckOrder(const Group& group) const {
    if (group.state->DependsOnOrder()) {
      return absl::UnimplementedError("the order of values decides");
    }
    if (group.histograms == nullptr) return absl::OkStatus();
    const auto has_float = [&](std::size_t i) { return group.state->Has(i); };
    if (aggregate_.op != AggregateOp::kSum ||
        group.histograms->Conflicts(has_float)) {
      return absl::UnimplementedError("histograms decide about others");
    }
    return absl::OkStatus();
  }

  Evaluation& evaluation_;
  const AggregateExpr& aggregate_;
  const std::vector<double>& parameter_;
  const StepGrid grid_;
  const PositionRange position_;
  const Grouping grouping_;
  const std::size_t parts_;  // Columns of a part; 0: there are none.
  std::size_t next_part_ = 0;
  std::vector<Group> groups_;
  absl::flat_hash_map<model::Labels, std::size_t> index_;
  SampleReservation held_;
};

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
    return EvaluateCountValues(evaluation, aggregate, grid, sink);
  }
  Scalars scalars{{}, SampleReservation(&evaluation.budget())};
  if (HasParameter(aggregate.op)) {
    NARTHEX_ASSIGN_OR_RETURN(scalars,
                             evaluation.Scalar(*aggregate.param, grid));
  }
  const std::vector<double>& parameter = scalars.values;
  if (SelectsSeries(aggregate.op)) {
    return EvaluateSelection(evaluation, aggregate, parameter, grid, sink);
  }
  Groups groups(evaluation, aggregate, parameter, grid);
  NARTHEX_RETURN_IF_ERROR(groups.Collect());
  if (aggregate.op == AggregateOp::kQuantile) {
    CheckPhi(evaluation, parameter, Unwrap(*aggregate.param).position);
  }
  return groups.Finish(sink);
}

absl::Status EvaluateParts(Evaluation& evaluation,
                           const AggregateExpr& aggregate, const StepGrid& grid,
                           ColumnSink sink) {
  if (aggregate.op != AggregateOp::kSum && aggregate.op != AggregateOp::kAvg) {
    return absl::UnimplementedError("the aggregation has no parts");
  }
  const std::vector<double> none;
  Groups groups(evaluation, aggregate, none, grid);
  NARTHEX_RETURN_IF_ERROR(groups.Collect());
  return groups.FinishParts(sink);
}

}  // namespace narthex::promql
