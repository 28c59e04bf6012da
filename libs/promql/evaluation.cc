#include "libs/promql/evaluation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/model/histogram_arithmetic.h"
#include "libs/promql/aggregate.h"
#include "libs/promql/binary_op.h"
#include "libs/promql/eval_nodes.h"
#include "libs/promql/plan.h"
#include "libs/promql/range_functions.h"

namespace narthex::promql {

namespace {

absl::Status TooManySamples() {
  return absl::FailedPreconditionError(
      "query processing would load too many samples into memory in query "
      "execution");
}

std::size_t BytesOf(const Column& column, std::size_t samples) {
  // Steps without a value take their place, too.
  return sizeof(Column) + column.labels.encoded().size() +
         8 * column.values.size() +
         (column.histograms.empty() ? 0 : 16 * samples);
}

SelectorUse UseOfAggregate(const AggregateExpr& aggregate) {
  SelectorUse use{std::string(AggregateOpText(aggregate.op)),
                  aggregate.grouping, !aggregate.without};
  switch (aggregate.op) {
    case AggregateOp::kSum:
    case AggregateOp::kAvg:
    case AggregateOp::kMin:
    case AggregateOp::kMax:
    case AggregateOp::kCount:
    case AggregateOp::kGroup:
    case AggregateOp::kStddev:
    case AggregateOp::kStdvar:
    case AggregateOp::kQuantile:
      use.any_order = true;
      break;
    default:
      return use;
  }
  if (aggregate.without) return use;
  use.some_labels = true;
  use.labels = aggregate.grouping;
  // Annotations tell the name and look at the type.
  use.labels.emplace_back(model::kMetricName);
  use.labels.emplace_back("__type__");
  std::sort(use.labels.begin(), use.labels.end());
  use.labels.erase(std::unique(use.labels.begin(), use.labels.end()),
                   use.labels.end());
  return use;
}

}  // namespace

absl::Status SampleBudget::Add(std::size_t samples, std::size_t bytes) {
  held_ += static_cast<std::int64_t>(samples);
  bytes_ += static_cast<std::int64_t>(bytes);
  peak_ = std::max(peak_, held_);
  if (progress_ != nullptr) {
    progress_->bytes_held.store(bytes_, std::memory_order_relaxed);
  }
  if (held_ > limit_) return TooManySamples();
  if (max_bytes_ == 0 || bytes_ <= max_bytes_) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("query processing would take more than the ", max_bytes_,
                   " bytes of memory that --query.max-memory allows"));
}

void SampleBudget::Remove(std::size_t samples, std::size_t bytes) {
  held_ -= static_cast<std::int64_t>(samples);
  bytes_ -= static_cast<std::int64_t>(bytes);
  if (progress_ != nullptr) {
    progress_->bytes_held.store(bytes_, std::memory_order_relaxed);
  }
}

absl::Status SampleBudget::Touch(std::size_t samples) {
  const auto held = held_ + static_cast<std::int64_t>(samples);
  peak_ = std::max(peak_, held);
  return held <= limit_ ? absl::OkStatus() : TooManySamples();
}

absl::Status SampleBudget::Check(std::size_t samples) const {
  return static_cast<std::int64_t>(samples) <= limit_ ? absl::OkStatus()
                                                      : TooManySamples();
}

absl::Status SampleReservation::Add(std::size_t samples, std::size_t bytes) {
  samples_ += samples;
  bytes_ += bytes;
  return budget_->Add(samples, bytes);
}

absl::Status SampleReservation::Add(const Column& column) {
  const std::size_t samples = SizeInSamples(column);
  return Add(samples, BytesOf(column, samples));
}

void SampleReservation::Remove(std::size_t samples, std::size_t bytes) {
  samples = std::min(samples, samples_);
  bytes = std::min(bytes, bytes_);
  samples_ -= samples;
  bytes_ -= bytes;
  budget_->Remove(samples, bytes);
}

void SampleReservation::Remove(const Column& column) {
  const std::size_t samples = SizeInSamples(column);
  Remove(samples, BytesOf(column, samples));
}

SampleReservation& SampleReservation::operator=(
    SampleReservation&& other) noexcept {
  Clear();
  budget_ = other.budget_;
  Take(std::move(other));
  return *this;
}

void SampleReservation::Take(SampleReservation&& other) {
  samples_ += std::exchange(other.samples_, 0);
  bytes_ += std::exchange(other.bytes_, 0);
}

void SampleReservation::Clear() {
  budget_->Remove(samples_, bytes_);
  samples_ = 0;
  bytes_ = 0;
}

Evaluation::Evaluation(const EvaluationSettings& settings,
                       storage::Queryable& storage, const base::Clock& clock,
                       const Expr& root, const FragmentContext* fragments)
    : settings_(settings),
      storage_(storage),
      clock_(clock),
      fragments_(fragments),
      budget_(settings) {
  FindUses(root, {}, {});
  if (uses_.size() > 1) JoinUses();
  if (settings.explain) node_traces_.emplace(root);
}

void Evaluation::FindUses(const Expr& expr, const SelectorUse& use,
                          const BucketUse& buckets) {
  if (expr.kind == ExprKind::kVectorSelector) {
    SelectorUse& own = uses_[&expr.As<VectorSelector>()];
    own = use;
    own.counts_only = buckets.counts && !buckets.buckets;
    return;
  }
  SelectorUse inner = use;
  BucketUse inner_buckets = buckets;
  if (expr.kind == ExprKind::kCall) {
    const auto& call = expr.As<Call>();
    const absl::string_view name = call.function->name;
    inner = {std::string(name), {}, false};
    // Names are dropped from each series alone, or not at all.
    const RangeFunction* function = FindRangeFunction(name);
    if (function != nullptr &&
        (function->keeps_name || HasOneMetricName(expr))) {
      inner.any_order = use.any_order;
      inner.some_labels = use.some_labels;
      inner.labels = use.labels;
    }
    inner_buckets.counts |= name == "histogram_count" ||
                            name == "histogram_sum" || name == "histogram_avg";
    inner_buckets.buckets |= name == "histogram_quantile" ||
                             name == "histogram_quantiles" ||
                             name == "histogram_fraction";
  } else if (expr.kind == ExprKind::kAggregate) {
    inner = UseOfAggregate(expr.As<AggregateExpr>());
  } else if (expr.kind == ExprKind::kBinary) {
    inner = {};
    inner_buckets.buckets |= IsTrim(expr.As<BinaryExpr>().op);
  } else if (expr.kind != ExprKind::kMatrixSelector) {
    inner.grouping.clear();
    inner.by = false;
    if (expr.kind != ExprKind::kParen &&
        expr.kind != ExprKind::kStepInvariant) {
      inner.any_order = false;
      inner.some_labels = false;
    }
  }
  // The steps of a subquery are not neighbours in storage: whether a counter
  // began anew between them takes the buckets to tell.
  inner_buckets.buckets |= expr.kind == ExprKind::kSubquery;
  for (const Expr* child : Children(expr)) {
    FindUses(*child, inner, inner_buckets);
  }
}

bool Evaluation::CountsOnly(const VectorSelector& selector) const {
  const auto use = uses_.find(&selector);
  return use != uses_.end() && use->second.counts_only;
}

absl::Status Evaluation::CheckAlive() const {
  if (settings_.cancelled != nullptr &&
      settings_.cancelled->load(std::memory_order_relaxed)) {
    return absl::CancelledError("query was canceled in expression evaluation");
  }
  if (clock_.MonotonicNs() >= settings_.deadline_ns) {
    return absl::DeadlineExceededError(
        "query timed out in expression evaluation");
  }
  return absl::OkStatus();
}

absl::Status Evaluation::InStretches(
    std::size_t steps,
    absl::FunctionRef<void(std::size_t begin, std::size_t end)> work) const {
  // Some milliseconds of simple work.
  constexpr std::size_t kStretch = 1 << 20;
  for (std::size_t begin = 0; begin < steps; begin += kStretch) {
    if (begin > 0) NARTHEX_RETURN_IF_ERROR(CheckAlive());
    work(begin, std::min(begin + kStretch, steps));
  }
  return absl::OkStatus();
}

absl::Status Evaluation::Vector(const Expr& expr, const StepGrid& grid,
                                ColumnSink sink) {
  NARTHEX_RETURN_IF_ERROR(CheckAlive());
  if (grid.count == 0) return absl::OkStatus();
  // Every column has this many values, whether or not they are present.
  NARTHEX_RETURN_IF_ERROR(budget_.Check(grid.count));
  return Measured(
      expr, [&](ColumnSink out) { return Node(expr, grid, out); }, sink);
}

absl::Status Evaluation::Parts(const AggregateExpr& aggregate,
                               const StepGrid& grid, ColumnSink sink) {
  return Measured(
      aggregate,
      [&](ColumnSink out) {
        return EvaluateParts(*this, aggregate, grid, out);
      },
      sink);
}

/// The time of a node is that of its stream, less what its consumer takes.
absl::Status Evaluation::Measured(
    const Expr& expr, absl::FunctionRef<absl::Status(ColumnSink)> evaluate,
    ColumnSink sink) {
  // Whatever makes the columns, and wherever they go, it does not go on for
  // long once nobody waits.
  AliveCheck alive(*this);
  const auto checked = [&](Column& column) -> absl::Status {
    NARTHEX_RETURN_IF_ERROR(alive.Pass(column.values.size()));
    return sink(column);
  };
  NodeTrace* const trace =
      node_traces_.has_value() ? node_traces_->Find(expr) : nullptr;
  if (trace == nullptr) return evaluate(checked);
  const SampleStats before = tally_.stats;
  const std::int64_t begin_ns = clock_.MonotonicNs();
  std::int64_t consumer_ns = 0;
  const auto count = [&](Column& column) {
    ++trace->columns;
    const std::int64_t handed_ns = clock_.MonotonicNs();
    const absl::Status taken = checked(column);
    consumer_ns += clock_.MonotonicNs() - handed_ns;
    return taken;
  };
  const absl::Status status = evaluate(count);
  trace->duration_ns += clock_.MonotonicNs() - begin_ns - consumer_ns;
  trace->series_read += tally_.stats.series - before.series;
  trace->samples_read += tally_.stats.read - before.read;
  return status;
}

absl::Status Evaluation::Node(const Expr& expr, const StepGrid& grid,
                              ColumnSink sink) {
  if (shared_.has_value()) {
    const SharedNodes::Group* const group = shared_->Find(expr);
    if (group != nullptr) return Shared(expr, grid, *group, sink);
  }
  return Evaluated(expr, grid, sink);
}

absl::Status Evaluation::Evaluated(const Expr& expr, const StepGrid& grid,
                                   ColumnSink sink) {
  if (fragments_ != nullptr &&
      (&expr == part_of_ || fragments_->plan.Find(&expr) != nullptr)) {
    return Elsewhere(expr, grid, sink);
  }
  switch (expr.kind) {
    case ExprKind::kParen:
      return Vector(*expr.As<ParenExpr>().expr, grid, sink);
    case ExprKind::kStepInvariant:
      return Invariant(*expr.As<StepInvariantExpr>().expr, grid, sink);
    case ExprKind::kUnary:
      return Unary(expr.As<UnaryExpr>(), grid, sink);
    case ExprKind::kVectorSelector:
      return EvaluateSelector(*this, expr.As<VectorSelector>(), grid, sink);
    case ExprKind::kCall:
      return EvaluateCall(*this, expr.As<Call>(), grid, sink);
    case ExprKind::kAggregate:
      return EvaluateAggregate(*this, expr.As<AggregateExpr>(), grid, sink);
    case ExprKind::kBinary:
      return EvaluateBinary(*this, expr.As<BinaryExpr>(), grid, sink);
    default:
      return absl::InternalError("expression is not an instant vector: " +
                                 expr.String());
  }
}

absl::Status Evaluation::Invariant(const Expr& expr, const StepGrid& grid,
                                   ColumnSink sink) {
  if (grid.count == 1) return Vector(expr, grid, sink);
  // What the consumer looks at meanwhile is its own.
  SeenSamples outside;
  std::swap(outside, stats().seen);
  const auto repeat = [&](Column& column) -> absl::Status {
    const double value = column.values[0];
    column.values.reserve(grid.count);
    NARTHEX_RETURN_IF_ERROR(
        InStretches(grid.count, [&](std::size_t, std::size_t end) {
          column.values.resize(end, value);
        }));
    if (column.HasHistogram(0)) {
      const model::HistogramPtr histogram = column.histograms[0];
      column.histograms.assign(grid.count, histogram);
    } else {
      column.histograms.clear();
    }
    std::swap(outside, stats().seen);
    const absl::Status taken = sink(column);
    std::swap(outside, stats().seen);
    return taken;
  };
  const absl::Status status = Vector(expr, grid.First(), repeat);
  std::swap(outside, stats().seen);
  SeeAtAllSteps(outside, grid);
  return status;
}

/// Evaluated once, it is seen by every step.
void Evaluation::SeeAtAllSteps(const SeenSamples& at_one,
                               const StepGrid& grid) {
  SeenSamples all;
  all.total = at_one.total * static_cast<std::int64_t>(grid.count);
  if (settings_.tell_steps) all.by_step.assign(grid.count, at_one.total);
  stats().seen += all;
}

absl::Status Evaluation::Unary(const UnaryExpr& expr, const StepGrid& grid,
                               ColumnSink sink) {
  if (!expr.negative) return Vector(*expr.expr, grid, sink);
  NameDropper dropper(*this, *expr.expr, NameDropper::Repeats::kMerge, sink);
  NARTHEX_RETURN_IF_ERROR(Vector(*expr.expr, grid, [&](Column& column) {
    for (double& value : column.values) {
      value = IsAbsent(value) ? value : -value;
    }
    for (model::HistogramPtr& histogram : column.histograms) {
      if (histogram == nullptr) continue;
      auto negative = std::make_shared<model::FloatHistogram>(*histogram);
      model::Multiply(-1, negative.get());
      histogram = std::move(negative);
    }
    return dropper.Add(column);
  }));
  return dropper.Finish();
}

absl::StatusOr<Columns> Evaluation::Collect(const Expr& expr,
                                            const StepGrid& grid) {
  Columns columns{{}, SampleReservation(&budget_)};
  const auto hold = [&](Column& column) -> absl::Status {
    NARTHEX_RETURN_IF_ERROR(columns.reservation.Add(column));
    columns.list.push_back(std::move(column));
    return absl::OkStatus();
  };
  NARTHEX_RETURN_IF_ERROR(Vector(expr, grid, hold));
  return columns;
}

absl::StatusOr<Scalars> Evaluation::Constant(double value, std::size_t steps) {
  Scalars scalars{{}, SampleReservation(&budget_)};
  NARTHEX_RETURN_IF_ERROR(scalars.reservation.Add(steps, 8 * steps));
  scalars.values.reserve(steps);
  NARTHEX_RETURN_IF_ERROR(InStretches(steps, [&](std::size_t, std::size_t end) {
    scalars.values.resize(end, value);
  }));
  return scalars;
}

absl::StatusOr<Scalars> Evaluation::Scalar(const Expr& expr,
                                           const StepGrid& grid) {
  NARTHEX_RETURN_IF_ERROR(CheckAlive());
  switch (expr.kind) {
    case ExprKind::kParen:
      return Scalar(*expr.As<ParenExpr>().expr, grid);
    case ExprKind::kStepInvariant: {
      SeenSamples outside;
      std::swap(outside, stats().seen);
      const absl::StatusOr<Scalars> first =
          Scalar(*expr.As<StepInvariantExpr>().expr, grid.First());
      std::swap(outside, stats().seen);
      NARTHEX_RETURN_IF_ERROR(first.status());
      SeeAtAllSteps(outside, grid);
      return Constant(first->values[0], grid.count);
    }
    case ExprKind::kNumber:
      return Constant(expr.As<NumberLiteral>().value, grid.count);
    case ExprKind::kUnary: {
      const auto& unary = expr.As<UnaryExpr>();
      NARTHEX_ASSIGN_OR_RETURN(Scalars scalars, Scalar(*unary.expr, grid));
      if (!unary.negative) return scalars;
      NARTHEX_RETURN_IF_ERROR(
          InStretches(grid.count, [&](std::size_t begin, std::size_t end) {
            for (std::size_t i = begin; i < end; ++i) {
              scalars.values[i] = -scalars.values[i];
            }
          }));
      return scalars;
    }
    case ExprKind::kBinary:
      return EvaluateScalarBinary(*this, expr.As<BinaryExpr>(), grid);
    case ExprKind::kCall:
      return ScalarCall(expr.As<Call>(), grid);
    default:
      return absl::InternalError("expression is not a scalar: " +
                                 expr.String());
  }
}

NameDropper::NameDropper(const Evaluation& evaluation, const Expr& source,
                         Repeats repeats, ColumnSink sink)
    : delayed_(evaluation.settings().delayed_name_removal),
      may_repeat_(!delayed_ && !HasOneMetricName(source)),
      hold_(may_repeat_ && repeats == Repeats::kMerge),
      sink_(sink) {}

absl::Status NameDropper::Add(Column& column) {
  if (delayed_) {
    column.drop_name = true;
    return sink_(column);
  }
  const bool described = HasTypeOrUnit(column.labels);
  column.labels = WithoutMetadata(column.labels);
  if (hold_) return held_.Add(column);
  if ((may_repeat_ || described) && !seen_.insert(column.labels).second) {
    return RepeatedLabelsError();
  }
  return sink_(column);
}

absl::Status NameDropper::Finish() {
  for (Column& column : held_.columns()) {
    NARTHEX_RETURN_IF_ERROR(sink_(column));
  }
  return absl::OkStatus();
}

bool HasOneMetricName(const Expr& wrapped) {
  const Expr& expr = Unwrap(wrapped);
  const auto groups_by_name = [](const AggregateExpr& aggregate) {
    if (aggregate.without) return false;
    return std::find(aggregate.grouping.begin(), aggregate.grouping.end(),
                     model::kMetricName) != aggregate.grouping.end();
  };
  switch (expr.kind) {
    case ExprKind::kVectorSelector: {
      const auto& matchers = expr.As<VectorSelector>().matchers;
      return std::any_of(matchers.begin(), matchers.end(), [](const auto& m) {
        return m.type() == model::MatchType::kEqual &&
               m.name() == model::kMetricName;
      });
    }
    case ExprKind::kMatrixSelector:
      return HasOneMetricName(*expr.As<MatrixSelector>().selector);
    case ExprKind::kSubquery:
      return HasOneMetricName(*expr.As<SubqueryExpr>().expr);
    case ExprKind::kUnary:
      return HasOneMetricName(*expr.As<UnaryExpr>().expr);
    case ExprKind::kAggregate: {
      const auto& aggregate = expr.As<AggregateExpr>();
      switch (aggregate.op) {
        case AggregateOp::kTopk:
        case AggregateOp::kBottomk:
        case AggregateOp::kLimitk:
        case AggregateOp::kLimitRatio:
          return HasOneMetricName(*aggregate.expr);
        case AggregateOp::kCountValues:
          return false;  // It may count into __name__.
        default:
          return !groups_by_name(aggregate);
      }
    }
    case ExprKind::kBinary: {
      const auto& binary = expr.As<BinaryExpr>();
      return binary.return_bool ||
             (!IsComparison(binary.op) && !IsSetOperator(binary.op));
    }
    case ExprKind::kCall: {
      const auto& call = expr.As<Call>();
      if (call.function->name == "label_replace" ||
          call.function->name == "label_join") {
        return false;
      }
      return std::all_of(call.args.begin(), call.args.end(),
                         [](const ExprPtr& arg) {
                           return (arg->type() != ValueType::kVector &&
                                   arg->type() != ValueType::kMatrix) ||
                                  HasOneMetricName(*arg);
                         });
    }
    default:
      return false;
  }
}

}  // namespace narthex::promql
