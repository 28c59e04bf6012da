#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "libs/base/float_format.h"
#include "libs/base/status.h"
#include "libs/promql/aggregate.h"
#include "libs/promql/eval_nodes.h"

namespace narthex::promql {
namespace {

/// The smallest and largest of the parameter's values; NaN is neither.
struct Extent {
  double min = std::numeric_limits<double>::infinity();
  double max = -std::numeric_limits<double>::infinity();
  bool has_nan = false;

  explicit Extent(const std::vector<double>& values) {
    for (const double value : values) {
      has_nan = has_nan || std::isnan(value);
      min = std::min(min, value);
      max = std::max(max, value);
    }
  }
};

/// A candidate of topk or bottomk.
struct Candidate {
  double value = 0;
  std::size_t series = 0;
};

/// Holds the k best of the candidates it is given, the worst on top. Among
/// equals those that came first stay, and which one goes first is decided by
/// the order of sifting, as in Prometheus, so that ties come out alike.
class BestCandidates {
 public:
  BestCandidates(bool largest, std::size_t k) : largest_(largest), k_(k) {}

  void Clear() { heap_.clear(); }

  void Offer(Candidate candidate) {
    if (heap_.size() < k_) {
      heap_.push_back(candidate);
      SiftUp();
      return;
    }
    const double worst = heap_[0].value;
    const bool better =
        largest_ ? worst < candidate.value : worst > candidate.value;
    if (!better && !(std::isnan(worst) && !std::isnan(candidate.value))) return;
    heap_[0] = candidate;
    SiftDown();
  }

  /// Best first, NaN last.
  const std::vector<Candidate>& Sorted() {
    if (heap_.size() <= kInsertionSortLimit) {
      InsertionSort();
      return heap_;
    }
    std::stable_sort(heap_.begin(), heap_.end(),
                     [&](const Candidate& a, const Candidate& b) {
                       if (std::isnan(a.value)) return false;
                       return std::isnan(b.value) || Better(a, b);
                     });
    return heap_;
  }

 private:
  /// Up to here Go sorts by insertion, which decides the order of NaNs.
  static constexpr std::size_t kInsertionSortLimit = 12;

  bool Better(const Candidate& a, const Candidate& b) const {
    return largest_ ? a.value > b.value : a.value < b.value;
  }

  void InsertionSort() {
    for (std::size_t i = 1; i < heap_.size(); ++i) {
      for (std::size_t j = i; j > 0; --j) {
        const Candidate& before = heap_[j - 1];
        if (!std::isnan(before.value) && !Better(heap_[j], before)) break;
        std::swap(heap_[j], heap_[j - 1]);
      }
    }
  }

  bool Worse(std::size_t a, std::size_t b) const {
    if (std::isnan(heap_[a].value)) return true;
    return largest_ ? heap_[a].value < heap_[b].value
                    : heap_[a].value > heap_[b].value;
  }

  void SiftUp() {
    std::size_t at = heap_.size() - 1;
    while (at > 0) {
      const std::size_t parent = (at - 1) / 2;
      if (!Worse(at, parent)) return;
      std::swap(heap_[at], heap_[parent]);
      at = parent;
    }
  }

  void SiftDown() {
    std::size_t at = 0;
    for (;;) {
      std::size_t child = 2 * at + 1;
      if (child >= heap_.size()) return;
      if (child + 1 < heap_.size() && Worse(child + 1, child)) ++child;
      if (!Worse(child, at)) return;
      std::swap(heap_[at], heap_[child]);
      at = child;
    }
  }

  const bool largest_;
  const std::size_t k_;
  std::vector<Candidate> heap_;
};

/// The series of a vector by group.
struct Groups {
  Columns columns;
  std::vector<std::vector<std::size_t>> members;
};

absl::StatusOr<Groups> CollectGroups(Evaluation& evaluation,
                                     const AggregateExpr& aggregate,
                                     const StepGrid& grid, AliveCheck& alive) {
  NARTHEX_ASSIGN_OR_RETURN(Columns columns,
                           evaluation.Collect(*aggregate.expr, grid));
  Groups groups{std::move(columns), {}};
  const Grouping grouping(aggregate.grouping, aggregate.without);
  absl::flat_hash_map<model::Labels, std::size_t> index;
  for (std::size_t i = 0; i < groups.columns.list.size(); ++i) {
    NARTHEX_RETURN_IF_ERROR(alive.Pass(0));
    const auto [it, is_new] = index.try_emplace(
        grouping.KeyOf(groups.columns.list[i].labels), groups.members.size());
    if (is_new) groups.members.emplace_back();
    groups.members[it->second].push_back(i);
  }
  return groups;
}

/// Which series goes out at which step, as columns of values to keep.
class Selection {
 public:
  explicit Selection(Columns& columns, std::size_t steps)
      : columns_(columns), steps_(steps), kept_(columns.list.size()) {}

  void Keep(std::size_t series, std::size_t step) {
    Column& kept = kept_[series];
    if (kept.values.empty()) {
      kept.values.assign(steps_, Absent());
      order_.push_back(series);
    }
    kept.Copy(columns_.list[series], step);
  }

  /// In the order in which they were first kept.
  absl::Status Emit(ColumnSink sink) {
    for (const std::size_t series : order_) {
      Column& column = columns_.list[series];
      column.values = std::move(kept_[series].values);
      column.histograms = std::move(kept_[series].histograms);
      NARTHEX_RETURN_IF_ERROR(sink(column));
    }
    return absl::OkStatus();
  }

 private:
  Columns& columns_;
  const std::size_t steps_;
  std::vector<Column> kept_;  // Without labels.
  std::vector<std::size_t> order_;
};

absl::Status SelectBest(const Groups& groups, bool largest,
                        const std::vector<std::size_t>& k, AliveCheck& alive,
                        Selection* selection) {
  for (const auto& members : groups.members) {
    for (std::size_t step = 0; step < k.size(); ++step) {
      if (k[step] == 0) continue;
      NARTHEX_RETURN_IF_ERROR(alive.Pass(members.size()));
      BestCandidates best(largest, k[step]);
      for (const std::size_t series : members) {
        const double value = groups.columns.list[series].values[step];
        if (IsPresent(value)) best.Offer({value, series});
      }
      for (const Candidate& candidate : best.Sorted()) {
        selection->Keep(candidate.series, step);
      }
    }
  }
  return absl::OkStatus();
}

/// Whether topk or bottomk comes upon a histogram.
bool MeetsHistogram(const Columns& columns, const std::vector<std::size_t>& k) {
  for (const Column& column : columns.list) {
    if (column.histograms.empty()) continue;
    for (std::size_t step = 0; step < k.size(); ++step) {
      if (k[step] != 0 && column.HasHistogram(step)) return true;
    }
  }
  return false;
}

/// limitk: the first k of each group.
absl::Status SelectFirst(const Groups& groups,
                         const std::vector<std::size_t>& k, AliveCheck& alive,
                         Selection* selection) {
  for (const auto& members : groups.members) {
    for (std::size_t step = 0; step < k.size(); ++step) {
      NARTHEX_RETURN_IF_ERROR(alive.Pass(members.size()));
      std::size_t left = k[step];
      for (const std::size_t series : members) {
        if (left == 0) break;
        if (!groups.columns.list[series].Has(step)) continue;
        selection->Keep(series, step);
        --left;
      }
    }
  }
  return absl::OkStatus();
}

/// limit_ratio: each series by where its hash lies between 0 and 1; a negative
/// ratio takes from the upper end, so that r and r - 1 complement each other.
absl::Status SelectRatio(const Groups& groups, const std::vector<double>& ratio,
                         AliveCheck& alive, Selection* selection) {
  constexpr double kMaxHash = 18446744073709551615.0;
  for (const auto& members : groups.members) {
    for (const std::size_t series : members) {
      NARTHEX_RETURN_IF_ERROR(alive.Pass(ratio.size()));
      const Column& column = groups.columns.list[series];
      const double offset =
          static_cast<double>(column.labels.Hash()) / kMaxHash;
      for (std::size_t step = 0; step < ratio.size(); ++step) {
        if (!column.Has(step) || ratio[step] == 0) continue;
        const double r = std::clamp(ratio[step], -1.0, 1.0);
        if (r >= 0 ? offset < r : offset >= 1.0 + r) {
          selection->Keep(series, step);
        }
      }
    }
  }
  return absl::OkStatus();
}

/// k as a number of series for every step.
absl::StatusOr<std::vector<std::size_t>> CountsOf(
    const std::vector<double>& parameter, std::size_t series) {
  const Extent extent(parameter);
  constexpr double kInt64Limit = 9223372036854775808.0;
  const auto text = [](double value) { return base::FormatFloatG(value); };
  if (extent.has_nan) {
    return absl::FailedPreconditionError("Parameter value is NaN");
  }
  if (extent.min <= -kInt64Limit) {
    return absl::FailedPreconditionError(
        absl::StrCat("Scalar value ", text(extent.min), " underflows int64"));
  }
  if (extent.max >= kInt64Limit) {
    return absl::FailedPreconditionError(
        absl::StrCat("Scalar value ", text(extent.max), " overflows int64"));
  }
  std::vector<std::size_t> counts;
  counts.reserve(parameter.size());
  for (const double value : parameter) {
    counts.push_back(
        value < 1 ? 0 : std::min(series, static_cast<std::size_t>(value)));
  }
  return counts;
}

absl::Status CheckRatio(Evaluation& evaluation, const Extent& extent,
                        PositionRange position) {
  if (extent.has_nan) {
    return absl::FailedPreconditionError("Ratio value is NaN");
  }
  const auto warn = [&](double value, absl::string_view limit) {
    evaluation.annotations().Warn(
        absl::StrCat("ratio value should be between -1 and 1, got ",
                     base::FormatFloatG(value), ", capping to ", limit),
        position);
  };
  if (extent.max > 1) warn(extent.max, "1");
  if (extent.min < -1) warn(extent.min, "-1");
  return absl::OkStatus();
}

}  // namespace

absl::Status EvaluateSelection(Evaluation& evaluation,
                               const AggregateExpr& aggregate,
                               const std::vector<double>& parameter,
                               const StepGrid& grid, ColumnSink sink) {
  AliveCheck alive(evaluation);
  NARTHEX_ASSIGN_OR_RETURN(Groups groups,
                           CollectGroups(evaluation, aggregate, grid, alive));
  Selection selection(groups.columns, grid.count);
  const Extent extent(parameter);
  if (aggregate.op == AggregateOp::kLimitRatio) {
    if (!extent.has_nan && extent.max == 0 && extent.min == 0) {
      return absl::OkStatus();
    }
    NARTHEX_RETURN_IF_ERROR(
        CheckRatio(evaluation, extent, Unwrap(*aggregate.param).position));
    NARTHEX_RETURN_IF_ERROR(SelectRatio(groups, parameter, alive, &selection));
    return selection.Emit(sink);
  }
  if (!extent.has_nan && extent.max < 1) return absl::OkStatus();
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::size_t> k,
                           CountsOf(parameter, groups.columns.list.size()));
  if (aggregate.op == AggregateOp::kLimitk) {
    NARTHEX_RETURN_IF_ERROR(SelectFirst(groups, k, alive, &selection));
  } else {
    if (MeetsHistogram(groups.columns, k)) {
      evaluation.annotations().IgnoredInAggregation(
          AggregateOpText(aggregate.op), aggregate.position);
    }
    NARTHEX_RETURN_IF_ERROR(SelectBest(
        groups, aggregate.op == AggregateOp::kTopk, k, alive, &selection));
  }
  return selection.Emit(sink);
}

}  // namespace narthex::promql
