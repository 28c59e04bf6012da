#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/base/task_pool.h"
#include "libs/promql/annotations.h"
#include "libs/promql/ast.h"
#include "libs/promql/column.h"
#include "libs/promql/explain.h"
#include "libs/promql/parallel_mapping.h"
#include "libs/promql/progress.h"
#include "libs/promql/series_mapper.h"
#include "libs/promql/shared_nodes.h"
#include "libs/promql/shared_reads.h"
#include "libs/promql/step_grid.h"
#include "libs/storage/storage.h"

namespace narthex::promql {

/// What bounds and shapes one evaluation.
struct EvaluationSettings {
  std::int64_t lookback_delta_ms = 0;
  std::int64_t default_subquery_step_ms = 0;
  std::int64_t max_samples = 0;
  /// Of memory, estimated; 0: no limit.
  std::int64_t max_bytes = 0;
  bool delayed_name_removal = false;
  bool type_and_unit_labels = false;
  bool use_start_timestamps = false;
  /// On base::Clock::MonotonicNs().
  std::int64_t deadline_ns = 0;
  /// Set by another thread to give up; may be null.
  const std::atomic<bool>* cancelled = nullptr;
  /// Of the whole query; 0: an instant query.
  std::int64_t step_ms = 0;
  /// Kept up to date; may be null.
  QueryProgress* progress = nullptr;
  /// Measure every node.
  bool explain = false;
  /// Tell how many samples each step of the query has seen.
  bool tell_steps = false;
  /// Threads that read and map series of large selections; may be null.
  base::TaskPool* helpers = nullptr;
};

/// Counts the samples a query holds, and their memory.
class SampleBudget {
 public:
  explicit SampleBudget(const EvaluationSettings& settings)
      : limit_(settings.max_samples),
        max_bytes_(settings.max_bytes),
        progress_(settings.progress) {}

  /// kFailedPrecondition when more than the limits are then held.
  absl::Status Add(std::size_t samples, std::size_t bytes);
  /// The same when they are held for a moment only.
  absl::Status Touch(std::size_t samples);
  /// The error of Add() when `samples` alone are more than the limit.
  absl::Status Check(std::size_t samples) const;
  /// Whether so much more memory may be held.
  bool HasRoom(std::size_t bytes) const {
    return max_bytes_ == 0 ||
           bytes_ + static_cast<std::int64_t>(bytes) <= max_bytes_;
  }
  void Remove(std::size_t samples, std::size_t bytes);
  std::int64_t peak() const { return peak_; }
  /// Somebody else held that many at a time on behalf of the query.
  void NotePeak(std::int64_t samples) { peak_ = std::max(peak_, samples); }

 private:
  const std::int64_t limit_;
  const std::int64_t max_bytes_;
  QueryProgress* const progress_;
  std::int64_t held_ = 0;
  std::int64_t peak_ = 0;
  std::int64_t bytes_ = 0;
};

/// A share of the budget, given back at the end of its life.
class SampleReservation {
 public:
  explicit SampleReservation(SampleBudget* budget) : budget_(budget) {}
  ~SampleReservation() { Clear(); }
  SampleReservation(SampleReservation&& other) noexcept
      : budget_(other.budget_), samples_(other.samples_), bytes_(other.bytes_) {
    other.samples_ = 0;
    other.bytes_ = 0;
  }
  SampleReservation& operator=(SampleReservation&& other) noexcept;

  /// With a time and a value each.
  absl::Status Add(std::size_t samples) { return Add(samples, 16 * samples); }
  absl::Status Add(std::size_t samples, std::size_t bytes);
  /// A column that is held.
  absl::Status Add(const Column& column);
  /// Gives back so much, or what there is of it.
  void Remove(std::size_t samples, std::size_t bytes);
  /// Somebody else holds the column from then on.
  void Remove(const Column& column);
  /// Takes over what another holds of the same budget.
  void Take(SampleReservation&& other);
  void Clear();

 private:
  SampleBudget* budget_;
  std::size_t samples_ = 0;
  std::size_t bytes_ = 0;
};

/// A vector with all its columns in memory.
struct Columns {
  std::vector<Column> list;
  SampleReservation reservation;
};

/// A scalar with its value at every step.
struct Scalars {
  std::vector<double> values;
  SampleReservation reservation;
};

/// How the selector of an expression is used; from the tree around it.
struct SelectorUse {
  std::string function;
  std::vector<std::string> grouping;
  bool by = false;
  /// Of its histograms only counts and sums are looked at.
  bool counts_only = false;
  /// Neither the order of the series nor labels beside `labels` (when
  /// `some_labels` is set) change the result.
  bool any_order = false;
  bool some_labels = false;
  std::vector<std::string> labels = {};
};

/// What of the series of a selector is read.
struct SelectorReading {
  storage::TimeRange range;
  std::int64_t step_ms = 0;
  std::int64_t range_ms = 0;
  bool newest_only = false;
  std::size_t steps = 1;  // For which a column has values.
};

/// How the series of a selector become the columns of a node.
struct SeriesReading {
  const VectorSelector* selector = nullptr;
  SelectorReading reading;
  StepGrid grid;
  std::function<std::unique_ptr<SeriesMapper>(Tally* tally)> new_mapper;
  /// What the scalars of the mappers take; may be null.
  std::shared_ptr<SampleReservation> held = nullptr;
};

class FragmentEvaluator;
class Plan;
struct Fragment;
struct FragmentTrace;

/// What an evaluation needs in order to have nodes evaluated elsewhere.
struct FragmentContext {
  FragmentEvaluator& evaluator;
  const Plan& plan;
  const Fragment& query;  // Names no node yet.
  std::vector<FragmentTrace>& traces;
};

/// Evaluates the nodes of one prepared expression. Every node yields its whole
/// vector at once, series by series, each with a value for every step of the
/// grid; what need not be held at once is passed on as a stream. Lives for one
/// query, on one thread, but for its const methods: the mappers of a selection
/// may run on others.
class Evaluation {
 public:
  /// With `fragments`, the nodes of its plan are evaluated elsewhere.
  Evaluation(const EvaluationSettings& settings, storage::Queryable& storage,
             const base::Clock& clock, const Expr& root,
             const FragmentContext* fragments = nullptr);

  /// Evaluates nodes that say the same once, and reads series once for nodes
  /// that take the same ones. `expr` is what will be evaluated; to be called
  /// before.
  void ShareNodes(const Expr& expr);

  /// Streams the instant vector `expr`. Errors: kFailedPrecondition when it
  /// cannot be evaluated, kDeadlineExceeded, kCancelled, those of the storage.
  absl::Status Vector(const Expr& expr, const StepGrid& grid, ColumnSink sink);
  /// Streams what EvaluateParts() gives of the aggregation.
  absl::Status Parts(const AggregateExpr& aggregate, const StepGrid& grid,
                     ColumnSink sink);
  /// The vector, held in memory.
  absl::StatusOr<Columns> Collect(const Expr& expr, const StepGrid& grid);
  /// The scalar `expr` at every step.
  absl::StatusOr<Scalars> Scalar(const Expr& expr, const StepGrid& grid);

  /// Takes one series at a time; it may move the contents out.
  using SeriesSink = absl::FunctionRef<absl::Status(
      model::Labels& labels, model::SampleColumns& samples)>;

  /// Streams the series a selector matches that have samples in the range,
  /// sorted by labels when the result depends on it. Storage warnings become
  /// annotations.
  absl::Status Select(const VectorSelector& selector,
                      const SelectorReading& reading, SeriesSink sink);
  /// Streams what mappers make of those series; when these are many, with the
  /// help of other threads.
  absl::Status Map(const SeriesReading& reading, ColumnSink sink);

  /// Whether only the counts and sums of the selector's histograms matter.
  bool CountsOnly(const VectorSelector& selector) const;

  /// kDeadlineExceeded or kCancelled when the query must end.
  absl::Status CheckAlive() const;
  /// Works on stretches of so many steps, one after the other; asks in between
  /// whether the query must end.
  absl::Status InStretches(
      std::size_t steps,
      absl::FunctionRef<void(std::size_t begin, std::size_t end)> work) const;

  const EvaluationSettings& settings() const { return settings_; }
  Annotations& annotations() { return tally_.annotations; }
  Tally& tally() { return tally_; }
  SampleBudget& budget() { return budget_; }
  SampleStats& stats() { return tally_.stats; }
  /// Whether the vector of `expr`, that of an aggregation, comes as parts.
  bool ComesInParts(const Expr& expr) const {
    return &expr == part_of_ && in_parts_;
  }
  /// Of every node that was evaluated, when the settings ask for it.
  std::vector<NodeTrace> node_traces() const {
    return node_traces_.has_value() ? node_traces_->All()
                                    : std::vector<NodeTrace>();
  }

 private:
  absl::StatusOr<std::unique_ptr<storage::SeriesSet>> Open(
      const VectorSelector& selector, const SelectorReading& reading);
  /// Takes over what the tally of some mapper says, and begins a new one.
  // Tells who watches the query what it has read by now.
  void NoteProgress();
  absl::Status Count(Tally& tally);
  void CountStorage(const storage::SeriesSet& set);
  /// Map() for one node alone.
  absl::Status MapAlone(const SeriesReading& reading, ColumnSink sink);
  /// Map() for all nodes of a group; the columns of the others are held.
  absl::Status MapTogether(const SeriesReading& own,
                           const SharedReads::Group& group, ColumnSink sink);
  struct HeldColumns;
  absl::Status TakeHeld(HeldColumns& held, ColumnSink sink);
  absl::Status MapHere(storage::SeriesSet& set, SeriesMapper& mapper,
                       std::size_t series, ColumnSink sink, bool* done);
  absl::Status Node(const Expr& expr, const StepGrid& grid, ColumnSink sink);
  /// A node that has its like.
  absl::Status Shared(const Expr& expr, const StepGrid& grid,
                      const SharedNodes::Group& group, ColumnSink sink);
  absl::Status Replay(const Expr& expr, const SharedNodes::Group& group,
                      ColumnSink sink);
  absl::Status Evaluated(const Expr& expr, const StepGrid& grid,
                         ColumnSink sink);
  void JoinUses();
  absl::Status Measured(const Expr& expr,
                        absl::FunctionRef<absl::Status(ColumnSink)> evaluate,
                        ColumnSink sink);
  absl::Status Invariant(const Expr& expr, const StepGrid& grid,
                         ColumnSink sink);
  void SeeAtAllSteps(const SeenSamples& at_one, const StepGrid& grid);
  absl::Status Unary(const UnaryExpr& expr, const StepGrid& grid,
                     ColumnSink sink);
  absl::StatusOr<Scalars> ScalarCall(const Call& call, const StepGrid& grid);
  absl::StatusOr<Scalars> ScalarOfVector(const Expr& vector,
                                         const StepGrid& grid);
  /// With `value` at each of so many steps.
  absl::StatusOr<Scalars> Constant(double value, std::size_t steps);
  /// What the nodes above an expression do with the buckets of histograms.
  struct BucketUse {
    bool counts = false;  // Some take counts or sums only.
    bool buckets = false;
  };
  void FindUses(const Expr& expr, const SelectorUse& use,
                const BucketUse& buckets);
  /// Streams a node that the plan places elsewhere.
  absl::Status Elsewhere(const Expr& expr, const StepGrid& grid,
                         ColumnSink sink);
  absl::Status AskPlaces(const Expr& expr, const StepGrid& grid,
                         ColumnSink sink);

  const EvaluationSettings settings_;
  storage::Queryable& storage_;
  const base::Clock& clock_;
  const FragmentContext* const fragments_;
  absl::flat_hash_map<const VectorSelector*, SelectorUse> uses_;
  /// Of the nodes of a group, once one has been evaluated.
  struct SharedResult {
    SharedResult(std::size_t nodes, SampleBudget* budget)
        : left(nodes), columns{{}, SampleReservation(budget)} {}

    std::size_t left;            // Nodes still to be evaluated.
    const Expr* from = nullptr;  // Set when there is a result.
    StepGrid grid;
    Columns columns;
    Annotations annotations;
    SeenSamples samples_seen;
  };
  std::optional<SharedNodes> shared_;
  // Of groups under way.
  absl::flat_hash_map<const SharedNodes::Group*, std::unique_ptr<SharedResult>>
      shared_results_;
  std::optional<SharedReads> shared_reads_;
  /// What was made for a node when the series were read for another one.
  struct HeldColumns {
    const SharedReads::Member* member = nullptr;
    const SharedReads::Member* read_with = nullptr;
    StepGrid grid;
    Columns columns;
  };
  absl::flat_hash_map<const VectorSelector*, std::unique_ptr<HeldColumns>>
      held_;
  // The vector of an aggregation whose parts were made elsewhere.
  const Expr* part_of_ = nullptr;
  bool in_parts_ = false;
  Columns* parts_ = nullptr;
  Tally tally_;
  SampleBudget budget_;
  std::optional<NodeTraces> node_traces_;
};

/// Asks an evaluation now and then, by the work done, whether it must end.
class AliveCheck {
 public:
  explicit AliveCheck(const Evaluation& evaluation)
      : ask_{evaluation}, checkpoint_(ask_) {}
  AliveCheck(const AliveCheck&) = delete;
  AliveCheck& operator=(const AliveCheck&) = delete;

  /// Another column or series of so many values was looked at.
  absl::Status Pass(std::size_t values) { return checkpoint_.Pass(values); }

 private:
  struct Ask {
    const Evaluation& evaluation;
    absl::Status operator()() const { return evaluation.CheckAlive(); }
  };
  const Ask ask_;
  Checkpoint checkpoint_;
};

/// Whether all series of the vector `expr` surely have the same metric name or
/// none, so that dropping it cannot make two of them equal.
bool HasOneMetricName(const Expr& expr);

/// Passes columns on without their metric name (with delayed removal: only
/// marked so).
class NameDropper {
 public:
  enum class Repeats {
    kMerge,   ///< Equal labels are allowed at different steps.
    kRefuse,  ///< They are an error.
  };

  /// `source` is the expression the columns come from.
  NameDropper(const Evaluation& evaluation, const Expr& source, Repeats repeats,
              ColumnSink sink);

  absl::Status Add(Column& column);
  /// Passes on what had to be held back.
  absl::Status Finish();

 private:
  const bool delayed_;
  const bool may_repeat_;
  const bool hold_;
  ColumnSink sink_;
  ColumnMerger held_;
  absl::flat_hash_set<model::Labels> seen_;
};

}  // namespace narthex::promql
