#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/base/task_pool.h"
#include "libs/promql/fragment.h"
#include "libs/promql/parser.h"
#include "libs/promql/value.h"
#include "libs/storage/storage.h"

namespace narthex::promql {

/// Settings of all queries; the defaults are Prometheus's.
struct EngineOptions {
  std::int64_t timeout_ms = 120'000;
  std::int64_t lookback_delta_ms = 300'000;
  std::int64_t max_samples = 50'000'000;
  /// Queries evaluated at a time; others wait, at most until their timeout.
  int max_concurrency = 20;
  /// Memory of one query, estimated; 0: no limit.
  std::int64_t max_bytes = 0;
  ParserOptions parser;
  bool delayed_name_removal = false;
  /// rate() judges by __type__ whether a metric is a counter.
  bool type_and_unit_labels = false;
  /// rate(), irate(), increase() and resets() look at when counters began.
  bool use_start_timestamps = false;
  /// Threads that help with large queries, of all queries together; may be
  /// null. It must outlive the engine.
  base::TaskPool* helpers = nullptr;
};

/// Settings of one query.
struct QueryOptions {
  /// Shorter than the engine's timeout; 0: as that.
  std::int64_t timeout_ms = 0;
  /// 0 and less: the engine's.
  std::int64_t lookback_delta_ms = 0;
  /// The step of subqueries that name none: the global evaluation interval.
  std::int64_t default_subquery_step_ms = 60'000;
  /// Most warnings, and most infos, in the result; 0: all.
  std::size_t max_annotations = 0;
  /// Set by another thread to end the query; may be null.
  const std::atomic<bool>* cancelled = nullptr;
  /// Kept up to date; may be null.
  QueryProgress* progress = nullptr;
  /// Called, if given, when the query's turn has come. What it returns goes
  /// before the turn does.
  std::function<std::shared_ptr<void>()> on_turn = {};
  /// Fill `explained`.
  bool explain = false;
  /// Fill QueryStats::steps, for which every step is evaluated once more.
  bool per_step_stats = false;
  /// Read less where PropagateMatchers() allows it: nobody asks how many
  /// samples the query looked at.
  bool propagate_matchers = false;
  /// Where parts of the query can be evaluated instead of here; may be null.
  FragmentEvaluator* fragments = nullptr;
};

/// How much work a query was.
struct QueryStats {
  std::int64_t queue_ns = 0;    // Waiting for its turn.
  std::int64_t prepare_ns = 0;  // Parsing.
  std::int64_t eval_ns = 0;     // Reading and computing.
  std::int64_t sort_ns = 0;     // Ordering the result.
  std::int64_t total_samples = 0;
  std::int64_t samples_read = 0;
  std::int64_t series_read = 0;
  std::int64_t peak_samples = 0;
  struct Step {
    std::int64_t time_ms = 0;
    std::int64_t total_samples = 0;
  };
  std::vector<Step> steps;  // When asked for.
};

struct QueryResult {
  Value value;
  std::vector<std::string> warnings;
  std::vector<std::string> infos;
  QueryStats stats;
  /// What was evaluated elsewhere, in order of its end.
  std::vector<FragmentTrace> fragments;
  /// The nodes of the prepared tree, parents first, when asked for.
  std::vector<ExplainedNode> explained;
  /// Why no fragment is evaluated elsewhere, when there is a reason.
  std::string why_nowhere;
};

/// Evaluates PromQL over any storage. Thread-safe.
///
/// Errors of both evaluations:
///   kInvalidArgument     the expression is malformed or of a wrong type;
///   kFailedPrecondition  it cannot be evaluated on the data;
///   kDeadlineExceeded    it took longer than its timeout;
///   kCancelled           it was cancelled;
///   others               come from the storage.
class Engine {
 public:
  Engine(EngineOptions options, base::Clock& clock)
      : options_(options), clock_(clock) {}

  /// Evaluates `expression` at one time.
  absl::StatusOr<QueryResult> Instant(storage::Queryable& storage,
                                      absl::string_view expression,
                                      std::int64_t time_ms,
                                      const QueryOptions& query = {});

  /// Evaluates `expression` from `start_ms` to `end_ms`, both included, every
  /// `step_ms` (positive). The result is a matrix.
  absl::StatusOr<QueryResult> Range(storage::Queryable& storage,
                                    absl::string_view expression,
                                    std::int64_t start_ms, std::int64_t end_ms,
                                    std::int64_t step_ms,
                                    const QueryOptions& query = {});

  const EngineOptions& options() const { return options_; }

 private:
  class Turn;
  struct Times;

  EvaluationSettings SettingsOf(const Times& times, const QueryOptions& query,
                                std::int64_t begin_ns) const;
  absl::StatusOr<std::vector<QueryStats::Step>> CountSteps(
      storage::Queryable& storage, const Expr& root, const Times& times,
      EvaluationSettings settings) const;
  absl::StatusOr<QueryResult> Run(storage::Queryable& storage,
                                  absl::string_view expression,
                                  const Times& times,
                                  const QueryOptions& query);

  const EngineOptions options_;
  base::Clock& clock_;
  base::Mutex mutex_;
  base::CondVar turn_;
  int active_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace narthex::promql
