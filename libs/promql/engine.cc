#include "libs/promql/engine.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/promql/column.h"
#include "libs/promql/eval_nodes.h"
#include "libs/promql/evaluation.h"
#include "libs/promql/plan.h"
#include "libs/promql/propagate.h"
#include "libs/promql/range_rate.h"

namespace narthex::promql {

struct Engine::Times {
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 0;
  std::int64_t step_ms = 0;  // 0: instant.

  StepGrid Grid() const {
    if (step_ms == 0) return {start_ms, 1, 1};
    return StepGrid::Between(start_ms, end_ms, step_ms);
  }
};

/// A place among the queries that may run.
class Engine::Turn {
 public:
  explicit Turn(Engine& engine) : engine_(engine) {}
  ~Turn() {
    if (!taken_) return;
    base::MutexLock lock(engine_.mutex_);
    --engine_.active_;
    engine_.turn_.NotifyOne();
  }

  absl::Status Wait(std::int64_t deadline_ns,
                    const std::atomic<bool>* cancelled) {
    base::MutexLock lock(engine_.mutex_);
    while (engine_.active_ >= engine_.options_.max_concurrency) {
      if (cancelled != nullptr && cancelled->load()) {
        return absl::CancelledError("query was canceled in query queue");
      }
      const std::int64_t left_ns = deadline_ns - engine_.clock_.MonotonicNs();
      if (left_ns <= 0) {
        return absl::DeadlineExceededError("query timed out in query queue");
      }
      // Cancelling does not wake anybody: look now and then.
      engine_.turn_.WaitFor(
          engine_.mutex_,
          std::min(std::chrono::milliseconds(100),
                   std::chrono::milliseconds(left_ns / 1'000'000 + 1)));
    }
    ++engine_.active_;
    taken_ = true;
    return absl::OkStatus();
  }

 private:
  Engine& engine_;
  bool taken_ = false;
};

namespace {

void SortByLabels(std::vector<MatrixSeries>* matrix) {
  const auto before = [](const MatrixSeries& a, const MatrixSeries& b) {
    return a.labels < b.labels;
  };
  // Most vectors are as storage orders them.
  if (std::is_sorted(matrix->begin(), matrix->end(), before)) return;
  std::sort(matrix->begin(), matrix->end(), before);
}

/// Does what delayed name removal has left for the end.
absl::StatusOr<std::vector<Column>> DropMarkedNames(
    const Evaluation& evaluation, std::vector<Column> columns) {
  const bool any = std::any_of(columns.begin(), columns.end(),
                               [](const Column& c) { return c.drop_name; });
  if (!any) return columns;
  AliveCheck alive(evaluation);
  ColumnMerger merger;
  for (Column& column : columns) {
    NARTHEX_RETURN_IF_ERROR(alive.Pass(column.values.size()));
    if (column.drop_name) column.labels = WithoutMetadata(column.labels);
    NARTHEX_RETURN_IF_ERROR(merger.Add(column));
  }
  return std::move(merger.columns());
}

MatrixSeries ToMatrixSeries(Column column, const StepGrid& grid) {
  MatrixSeries series;
  series.labels = std::move(column.labels);
  const std::size_t present = CountPresent(column);
  series.samples.timestamps_ms.reserve(present);
  series.samples.values.reserve(present);
  for (std::size_t i = 0; i < grid.count; ++i) {
    if (column.HasHistogram(i)) {
      series.samples.Append(grid.At(i), std::move(column.histograms[i]));
    } else if (IsPresent(column.values[i])) {
      series.samples.Append(grid.At(i), column.values[i]);
    }
  }
  return series;
}

absl::StatusOr<std::vector<Column>> EvaluateVector(Evaluation& evaluation,
                                                   const Expr& root,
                                                   const StepGrid& grid) {
  NARTHEX_ASSIGN_OR_RETURN(Columns columns, evaluation.Collect(root, grid));
  if (!evaluation.settings().delayed_name_removal) {
    return std::move(columns.list);
  }
  return DropMarkedNames(evaluation, std::move(columns.list));
}

/// A range vector as the result of an instant query.
absl::Status EvaluateMatrix(Evaluation& evaluation, const Expr& wrapped,
                            const StepGrid& grid, Value* value) {
  const Expr& root = Unwrap(wrapped);
  const RangeGeometry geometry = GeometryOf(root, grid);
  SampleReservation held(&evaluation.budget());
  const auto take = [&](RangeSeries& series) -> absl::Status {
    const std::size_t size = SizeInSamples(series.samples);
    NARTHEX_RETURN_IF_ERROR(held.Add(size));
    if (geometry.anchored || geometry.smoothed) {
      if (!series.samples.histograms.empty()) {
        return absl::FailedPreconditionError(
            absl::StrCat(geometry.anchored ? "anchored" : "smoothed",
                         " modifier is not supported with histograms"));
      }
      series.samples = CutAtEdges(series.samples, geometry);
    }
    if (series.samples.empty()) return absl::OkStatus();
    if (series.drop_name) series.labels = WithoutMetadata(series.labels);
    value->matrix.push_back(
        {std::move(series.labels), std::move(series.samples)});
    series = {};
    return absl::OkStatus();
  };
  NARTHEX_RETURN_IF_ERROR(EvaluateRangeResult(evaluation, root, grid, take));
  SortByLabels(&value->matrix);
  return absl::OkStatus();
}

absl::Status EvaluateInstant(Evaluation& evaluation, const Expr& root,
                             const StepGrid& grid, Value* value) {
  value->timestamp_ms = grid.start_ms;
  switch (root.type()) {
    case ValueType::kString:
      value->text = Unwrap(root).As<StringLiteral>().value;
      return absl::OkStatus();
    case ValueType::kScalar: {
      NARTHEX_ASSIGN_OR_RETURN(const Scalars scalars,
                               evaluation.Scalar(root, grid));
      value->scalar = scalars.values[0];
      return absl::OkStatus();
    }
    case ValueType::kMatrix:
      return EvaluateMatrix(evaluation, root, grid, value);
    default:
      break;
  }
  NARTHEX_ASSIGN_OR_RETURN(std::vector<Column> columns,
                           EvaluateVector(evaluation, root, grid));
  for (Column& column : columns) {
    if (column.HasHistogram(0)) {
      value->vector.push_back(
          {std::move(column.labels), 0, std::move(column.histograms[0])});
    } else if (IsPresent(column.values[0])) {
      value->vector.push_back({std::move(column.labels), column.values[0]});
    }
  }
  return absl::OkStatus();
}

absl::Status EvaluateSteps(Evaluation& evaluation, const Expr& root,
                           const StepGrid& grid, Value* value) {
  value->type = ValueType::kMatrix;
  if (grid.count == 0) return absl::OkStatus();
  std::vector<Column> columns;
  if (root.type() == ValueType::kScalar) {
    NARTHEX_ASSIGN_OR_RETURN(Scalars scalars, evaluation.Scalar(root, grid));
    columns.emplace_back().values = std::move(scalars.values);
  } else {
    NARTHEX_ASSIGN_OR_RETURN(columns, EvaluateVector(evaluation, root, grid));
  }
  AliveCheck alive(evaluation);
  for (Column& column : columns) {
    NARTHEX_RETURN_IF_ERROR(alive.Pass(column.values.size()));
    MatrixSeries series = ToMatrixSeries(std::move(column), grid);
    if (!series.samples.empty()) value->matrix.push_back(std::move(series));
  }
  return absl::OkStatus();
}

void AddNodes(const Expr& expr, std::size_t depth, const Plan& plan,
              std::vector<ExplainedNode>* nodes) {
  ExplainedNode& node = nodes->emplace_back();
  node.node = static_cast<std::uint32_t>(nodes->size() - 1);
  node.depth = depth;
  node.text = expr.String();
  node.is_fragment = plan.Find(&expr) != nullptr;
  for (const Expr* child : Children(expr)) {
    AddNodes(*child, depth + 1, plan, nodes);
  }
}

std::vector<ExplainedNode> Explain(const Expr& root, const Plan& plan,
                                   const std::vector<NodeTrace>& traces) {
  std::vector<ExplainedNode> nodes;
  AddNodes(root, 0, plan, &nodes);
  for (const NodeTrace& trace : traces) {
    nodes[trace.node].is_evaluated = true;
    nodes[trace.node].trace = trace;
  }
  return nodes;
}

absl::Status CheckRangeType(const Expr& root) {
  if (root.type() == ValueType::kVector || root.type() == ValueType::kScalar) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("invalid expression type \"", ValueTypeName(root.type()),
                   "\" for range query, must be Scalar or instant Vector"));
}

}  // namespace

absl::StatusOr<QueryResult> Engine::Instant(storage::Queryable& storage,
                                            absl::string_view expression,
                                            std::int64_t time_ms,
                                            const QueryOptions& query) {
  return Run(storage, expression, {time_ms, time_ms, 0}, query);
}

absl::StatusOr<QueryResult> Engine::Range(storage::Queryable& storage,
                                          absl::string_view expression,
                                          std::int64_t start_ms,
                                          std::int64_t end_ms,
                                          std::int64_t step_ms,
                                          const QueryOptions& query) {
  if (step_ms <= 0) {
    return absl::InvalidArgumentError("the step of a range must be positive");
  }
  return Run(storage, expression, {start_ms, end_ms, step_ms}, query);
}

EvaluationSettings Engine::SettingsOf(const Times& times,
                                      const QueryOptions& query,
                                      std::int64_t begin_ns) const {
  EvaluationSettings settings;
  settings.lookback_delta_ms = query.lookback_delta_ms > 0
                                   ? query.lookback_delta_ms
                                   : options_.lookback_delta_ms;
  settings.default_subquery_step_ms =
      std::max<std::int64_t>(1, query.default_subquery_step_ms);
  settings.max_samples = options_.max_samples;
  settings.delayed_name_removal = options_.delayed_name_removal;
  settings.type_and_unit_labels = options_.type_and_unit_labels;
  settings.use_start_timestamps = options_.use_start_timestamps;
  const std::int64_t timeout_ms =
      query.timeout_ms > 0 ? std::min(query.timeout_ms, options_.timeout_ms)
                           : options_.timeout_ms;
  settings.deadline_ns = begin_ns + timeout_ms * 1'000'000;
  settings.cancelled = query.cancelled;
  settings.step_ms = times.step_ms;
  settings.max_bytes = options_.max_bytes;
  settings.progress = query.progress;
  settings.explain = query.explain;
  settings.helpers = options_.helpers;
  return settings;
}

// Evaluates the query once more, and here: neither fragments nor nodes that
// share what they read tell steps apart.
absl::StatusOr<std::vector<QueryStats::Step>> Engine::CountSteps(
    storage::Queryable& storage, const Expr& root, const Times& times,
    EvaluationSettings settings) const {
  settings.explain = false;
  settings.progress = nullptr;
  settings.tell_steps = true;
  const StepGrid grid = times.Grid();
  Evaluation evaluation(settings, storage, clock_, root);
  const auto ignore = [](Column&) { return absl::OkStatus(); };
  Value ignored;
  switch (root.type()) {
    case ValueType::kScalar:
      NARTHEX_RETURN_IF_ERROR(evaluation.Scalar(root, grid).status());
      break;
    case ValueType::kVector:
      NARTHEX_RETURN_IF_ERROR(evaluation.Vector(root, grid, ignore));
      break;
    case ValueType::kMatrix:
      NARTHEX_RETURN_IF_ERROR(EvaluateMatrix(evaluation, root, grid, &ignored));
      break;
    default:
      break;  // A string looks at nothing.
  }
  std::vector<std::int64_t> seen = evaluation.stats().seen.by_step;
  seen.resize(grid.count);
  std::vector<QueryStats::Step> steps;
  steps.reserve(grid.count);
  for (std::size_t i = 0; i < grid.count; ++i) {
    steps.push_back({grid.At(i), seen[i]});
  }
  return steps;
}

absl::StatusOr<QueryResult> Engine::Run(storage::Queryable& storage,
                                        absl::string_view expression,
                                        const Times& times,
                                        const QueryOptions& query) {
  const std::int64_t begin_ns = clock_.MonotonicNs();
  const EvaluationSettings settings = SettingsOf(times, query, begin_ns);
  NARTHEX_ASSIGN_OR_RETURN(ExprPtr root, Parse(expression, options_.parser));
  if (times.step_ms != 0) NARTHEX_RETURN_IF_ERROR(CheckRangeType(*root));
  NARTHEX_ASSIGN_OR_RETURN(root, Prepare(std::move(root), times.start_ms,
                                         times.end_ms, times.step_ms));
  const bool propagate = query.propagate_matchers && !query.per_step_stats &&
                         !options_.type_and_unit_labels;
  if (propagate) PropagateMatchers(root.get());

  const std::int64_t queued_ns = clock_.MonotonicNs();
  Turn turn(*this);
  NARTHEX_RETURN_IF_ERROR(turn.Wait(settings.deadline_ns, query.cancelled));
  const std::shared_ptr<void> during =
      query.on_turn ? query.on_turn() : nullptr;
  const std::int64_t started_ns = clock_.MonotonicNs();

  QueryResult result;
  const auto evaluate = [&](const FragmentContext* fragments) -> absl::Status {
    Evaluation evaluation(settings, storage, clock_, *root, fragments);
    evaluation.ShareNodes(*root);
    result.value.type = root->type();
    NARTHEX_RETURN_IF_ERROR(
        times.step_ms == 0
            ? EvaluateInstant(evaluation, *root, times.Grid(), &result.value)
            : EvaluateSteps(evaluation, *root, times.Grid(), &result.value));
    const Annotations& annotations = evaluation.annotations();
    result.warnings = annotations.Warnings(expression, query.max_annotations);
    result.infos = annotations.Infos(expression, query.max_annotations);
    result.stats.total_samples = evaluation.stats().seen.total;
    result.stats.samples_read = evaluation.stats().read;
    result.stats.series_read = evaluation.stats().series;
    result.stats.peak_samples = evaluation.budget().peak();
    if (query.explain) {
      result.explained =
          Explain(*root, fragments == nullptr ? Plan() : fragments->plan,
                  evaluation.node_traces());
    }
    return absl::OkStatus();
  };
  bool done = false;
  if (query.fragments != nullptr) {
    const Plan plan(*root, query.fragments->places());
    if (query.explain) result.why_nowhere = query.fragments->WhyNowhere();
    if (!plan.empty()) {
      const Fragment whole{std::string(expression),
                           times.start_ms,
                           times.end_ms,
                           times.step_ms,
                           options_.parser,
                           settings,
                           0,
                           "",
                           false,
                           {},
                           propagate,
                           plan.places()};
      const FragmentContext context{*query.fragments, plan, whole,
                                    result.fragments};
      const absl::Status status = evaluate(&context);
      // Then it is done with selections, all of it.
      done = !absl::IsUnimplemented(status);
      if (done) NARTHEX_RETURN_IF_ERROR(status);
      if (!done) result = {};
    }
  }
  if (!done) NARTHEX_RETURN_IF_ERROR(evaluate(nullptr));

  const std::int64_t evaluated_ns = clock_.MonotonicNs();
  if (times.step_ms != 0) SortByLabels(&result.value.matrix);
  result.stats.prepare_ns = queued_ns - begin_ns;
  result.stats.queue_ns = started_ns - queued_ns;
  result.stats.eval_ns = evaluated_ns - started_ns;
  result.stats.sort_ns = clock_.MonotonicNs() - evaluated_ns;
  if (query.per_step_stats) {
    NARTHEX_ASSIGN_OR_RETURN(result.stats.steps,
                             CountSteps(storage, *root, times, settings));
  }
  return result;
}

}  // namespace narthex::promql
