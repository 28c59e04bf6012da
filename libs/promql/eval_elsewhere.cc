#include <algorithm>
#include <utility>

#include "libs/base/status.h"
#include "libs/promql/eval_nodes.h"
#include "libs/promql/fragment.h"
#include "libs/promql/plan.h"

namespace narthex::promql {

/// Streams what the places say of `expr`, as it comes.
absl::Status Evaluation::AskPlaces(const Expr& expr, const StepGrid& grid,
                                   ColumnSink sink) {
  const std::int64_t begin_ns = clock_.MonotonicNs();
  Fragment fragment = fragments_->query;
  fragment.node = fragments_->plan.Find(&expr)->number;
  if (fragment.node != 0) fragment.node_text = expr.String();
  fragment.grid = grid;
  fragment.part = fragments_->plan.places() > 1 &&
                  fragments_->plan.Find(&expr)->merge == Merge::kParts;
  FragmentTrace trace{fragment.node, 0, 0, {}};
  const auto count = [&](Column& column) -> absl::Status {
    ++trace.columns;
    if (QueryProgress* progress = settings_.progress; progress != nullptr) {
      progress->columns_received.fetch_add(1, std::memory_order_relaxed);
    }
    return sink(column);
  };
  NARTHEX_ASSIGN_OR_RETURN(trace.replies,
                           fragments_->evaluator.Evaluate(fragment, count));
  for (const FragmentReply& reply : trace.replies) {
    annotations().Merge(reply.annotations);
    stats().Add(reply.stats);
    budget_.NotePeak(reply.stats.peak);
  }
  NoteProgress();
  trace.duration_ns = clock_.MonotonicNs() - begin_ns;
  fragments_->traces.push_back(std::move(trace));
  return absl::OkStatus();
}

namespace {

/// Whoever takes a column counts it from then on.
absl::Status HandOn(Columns& columns, ColumnSink sink) {
  for (Column& held : columns.list) {
    columns.reservation.Remove(held);
    Column column = std::move(held);
    NARTHEX_RETURN_IF_ERROR(sink(column));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Evaluation::Elsewhere(const Expr& expr, const StepGrid& grid,
                                   ColumnSink sink) {
  if (&expr == part_of_) {
    return HandOn(*parts_, sink);
  }
  if (fragments_->plan.places() == 1) return AskPlaces(expr, grid, sink);

  Columns columns{{}, SampleReservation(&budget_)};
  ColumnMerger sums;
  AliveCheck alive(*this);
  const Merge merge = fragments_->plan.Find(&expr)->merge;
  const auto take = [&](Column& column) -> absl::Status {
    NARTHEX_RETURN_IF_ERROR(alive.Pass(column.values.size()));
    if (merge != Merge::kCount) {
      NARTHEX_RETURN_IF_ERROR(columns.reservation.Add(column));
      columns.list.push_back(std::move(column));
      return absl::OkStatus();
    }
    const std::size_t groups = sums.columns().size();
    std::vector<double>& sum =
        sums.Get(column.labels, column.drop_name, grid.count).values;
    if (sums.columns().size() > groups) {
      NARTHEX_RETURN_IF_ERROR(columns.reservation.Add(column));
    }
    for (std::size_t i = 0; i < grid.count; ++i) {
      const double count = column.values[i];
      if (IsPresent(count)) sum[i] = IsAbsent(sum[i]) ? count : sum[i] + count;
    }
    return absl::OkStatus();
  };
  NARTHEX_RETURN_IF_ERROR(AskPlaces(expr, grid, take));
  if (merge == Merge::kCount) columns.list = std::move(sums.columns());
  // The order must not depend on which place holds what.
  std::stable_sort(
      columns.list.begin(), columns.list.end(),
      [](const Column& a, const Column& b) { return a.labels < b.labels; });
  if (merge == Merge::kAggregate || merge == Merge::kParts) {
    const auto& aggregate = expr.As<AggregateExpr>();
    part_of_ = aggregate.expr.get();
    in_parts_ = merge == Merge::kParts;
    parts_ = &columns;
    const absl::Status status = EvaluateAggregate(*this, aggregate, grid, sink);
    part_of_ = nullptr;
    return status;
  }
  return HandOn(columns, sink);
}

}  // namespace narthex::promql
