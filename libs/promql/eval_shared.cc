#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "libs/base/status.h"
#include "libs/promql/evaluation.h"

namespace narthex::promql {

namespace {

/// What serves both uses.
void Join(const SelectorUse& other, SelectorUse* use) {
  if (use->function != other.function || use->grouping != other.grouping ||
      use->by != other.by) {
    use->function.clear();
    use->grouping.clear();
    use->by = false;
  }
  use->counts_only = use->counts_only && other.counts_only;
  use->any_order = use->any_order && other.any_order;
  use->some_labels = use->some_labels && other.some_labels;
  std::vector<std::string> labels;
  std::set_union(use->labels.begin(), use->labels.end(), other.labels.begin(),
                 other.labels.end(), std::back_inserter(labels));
  use->labels = std::move(labels);
}

}  // namespace

/// One of several equal selectors may be read for all, also on behalf of
/// another process that evaluates the rest: so all are read in the same way.
void Evaluation::JoinUses() {
  std::map<std::string, SelectorUse> joined;
  for (const auto& [selector, use] : uses_) {
    const auto [it, is_new] = joined.try_emplace(selector->String(), use);
    if (!is_new) Join(use, &it->second);
  }
  if (joined.size() == uses_.size()) return;
  for (auto& [selector, use] : uses_) use = joined.at(selector->String());
}

void Evaluation::ShareNodes(const Expr& expr) {
  if (uses_.size() < 2) return;
  shared_.emplace(expr, fragments_ == nullptr ? nullptr : &fragments_->plan);
  if (shared_->empty()) shared_.reset();
  shared_reads_.emplace(expr,
                        fragments_ == nullptr ? nullptr : &fragments_->plan,
                        shared_.has_value() ? &*shared_ : nullptr);
  if (shared_reads_->empty()) shared_reads_.reset();
}

absl::Status Evaluation::Shared(const Expr& expr, const StepGrid& grid,
                                const SharedNodes::Group& group,
                                ColumnSink sink) {
  std::unique_ptr<SharedResult>& slot = shared_results_[&group];
  if (slot == nullptr) {
    slot = std::make_unique<SharedResult>(group.nodes.size(), &budget_);
  }
  SharedResult& result = *slot;
  if (result.left > 0) --result.left;
  if (result.from != nullptr) {
    if (result.grid == grid) return Replay(expr, group, sink);
    return Evaluated(expr, grid, sink);
  }
  if (result.left == 0) return Evaluated(expr, grid, sink);

  SeenSamples outside;
  std::swap(outside, stats().seen);
  Annotations before;
  std::swap(before, annotations());
  const auto hold = [&](Column& column) -> absl::Status {
    NARTHEX_RETURN_IF_ERROR(result.columns.reservation.Add(column));
    result.columns.list.push_back(std::move(column));
    return absl::OkStatus();
  };
  const absl::Status status = Evaluated(expr, grid, hold);
  std::swap(outside, stats().seen);
  result.samples_seen = std::move(outside);
  stats().seen += result.samples_seen;
  std::swap(before, annotations());
  result.annotations = std::move(before);
  annotations().Merge(result.annotations);
  NARTHEX_RETURN_IF_ERROR(status);
  result.from = &expr;
  result.grid = grid;
  Column copy;
  for (const Column& column : result.columns.list) {
    copy = column;
    NARTHEX_RETURN_IF_ERROR(sink(copy));
  }
  return absl::OkStatus();
}

absl::Status Evaluation::Replay(const Expr& expr,
                                const SharedNodes::Group& group,
                                ColumnSink sink) {
  SharedResult& result = *shared_results_[&group];
  // As if it had been evaluated again.
  annotations().Merge(result.annotations, PositionMap(*result.from, expr));
  stats().seen += result.samples_seen;
  if (node_traces_.has_value()) {
    NodeTrace* const trace = node_traces_->Find(expr);
    const NodeTrace* const other = node_traces_->Find(*result.from);
    if (trace != nullptr && other != nullptr) trace->same_as = other->node;
  }
  Column copy;
  for (Column& column : result.columns.list) {
    if (result.left == 0) {
      result.columns.reservation.Remove(column);
      NARTHEX_RETURN_IF_ERROR(sink(column));
      continue;
    }
    copy = column;
    NARTHEX_RETURN_IF_ERROR(sink(copy));
  }
  if (result.left == 0) shared_results_.erase(&group);
  return absl::OkStatus();
}

}  // namespace narthex::promql
