#include <bit>
#include <cstdint>
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
#include "libs/promql/eval_nodes.h"
#include "libs/promql/step_counts.h"

namespace narthex::promql {
namespace {

/// The values of a vector, each with its counts: there may be a new one at
/// every step of every series.
class ValueCounter {
 public:
  ValueCounter(Evaluation& evaluation, Grouping grouping,
               const std::string& label, std::size_t steps)
      : grouping_(std::move(grouping)),
        label_(label),
        steps_(steps),
        alive_(evaluation),
        held_(&evaluation.budget()) {}

  absl::Status Add(const Column& column) {
    // Neighbouring steps mostly have the same value.
    StepCounts* counts = nullptr;
    double previous = Absent();
    for (std::size_t i = 0; i < steps_; ++i) {
      if (!column.Has(i)) continue;
      const double value = column.values[i];
      // Bit by bit: -0 has a label of its own.
      if (counts == nullptr || column.HasHistogram(i) ||
          std::bit_cast<std::uint64_t>(value) !=
              std::bit_cast<std::uint64_t>(previous)) {
        NARTHEX_ASSIGN_OR_RETURN(counts, CountsOf(column, i));
        previous = value;
      }
      const std::size_t before = counts->bytes();
      const bool first = counts->Count(i, steps_);
      if (!first) continue;
      NARTHEX_RETURN_IF_ERROR(held_.Add(1, counts->bytes() - before));
    }
    return absl::OkStatus();
  }

  absl::Status Finish(ColumnSink sink) {
    for (Value& value : values_) {
      held_.Remove(0, value.counts.bytes());
      Column column{std::move(value.labels), false, value.counts.Take(steps_)};
      held_.Remove(CountPresent(column.values), 0);
      NARTHEX_RETURN_IF_ERROR(sink(column));
    }
    return absl::OkStatus();
  }

 private:
  struct Value {
    model::Labels labels;
    StepCounts counts;
  };

  /// Those of the value of the column at a step.
  absl::StatusOr<StepCounts*> CountsOf(const Column& column, std::size_t step) {
    NARTHEX_RETURN_IF_ERROR(alive_.Pass(0));
    model::LabelsBuilder builder(column.labels);
    builder.Set(label_, column.HasHistogram(step)
                            ? model::ToString(*column.histograms[step])
                            : base::FormatFloat(column.values[step]));
    model::Labels labels = grouping_.KeyOf(builder.Build());
    const auto [it, is_new] = index_.try_emplace(labels, values_.size());
    if (is_new) {
      NARTHEX_RETURN_IF_ERROR(held_.Add(
          0, sizeof(Value) + sizeof(*it) + 2 * labels.encoded().size()));
      values_.push_back({std::move(labels), {}});
    }
    return &values_[it->second].counts;
  }

  const Grouping grouping_;
  const std::string& label_;
  const std::size_t steps_;
  AliveCheck alive_;
  std::vector<Value> values_;  // In order of their first appearance.
  absl::flat_hash_map<model::Labels, std::size_t> index_;
  SampleReservation held_;
};

}  // namespace

absl::Status EvaluateCountValues(Evaluation& evaluation,
                                 const AggregateExpr& aggregate,
                                 const StepGrid& grid, ColumnSink sink) {
  const std::string& name = Unwrap(*aggregate.param).As<StringLiteral>().value;
  if (!model::IsUtf8Name(name)) {
    return absl::FailedPreconditionError(
        absl::StrCat("invalid label name ", base::Quote(name)));
  }
  std::vector<std::string> labels = aggregate.grouping;
  if (!aggregate.without) labels.push_back(name);
  ValueCounter counter(evaluation,
                       Grouping(std::move(labels), aggregate.without), name,
                       grid.count);
  NARTHEX_RETURN_IF_ERROR(
      evaluation.Vector(*aggregate.expr, grid,
                        [&](Column& column) { return counter.Add(column); }));
  return counter.Finish(sink);
}

}  // namespace narthex::promql
