#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/clock.h"
#include "libs/base/log.h"
#include "libs/promql/engine.h"
#include "libs/service/hangup_watch.h"
#include "libs/storage/storage.h"
#include "services/querier/active_queries.h"
#include "services/querier/metrics.h"
#include "services/querier/query_log.h"
#include "services/querier/running_queries.h"

namespace narthex::querier {

/// What queries need; all of it outlives the routes.
struct QueryContext {
  promql::Engine& engine;
  storage::Queryable& storage;
  /// Evaluates parts of queries; may be null.
  promql::FragmentEvaluator* fragments;
  base::Clock& clock;
  service::HangupWatch& hangups;
  Metrics& metrics;
  RunningQueries& running;
  QueryLog& log;
  ActiveQueries* active;  ///< May be null.
  base::Logger logger;
  /// Queries that take longer are logged; 0: none.
  std::int64_t slow_ms = 0;
  /// The step of subqueries that name none: the evaluation interval of the
  /// configuration as last loaded.
  std::atomic<std::int64_t> subquery_step_ms{60'000};
  /// Whether stats=all tells the samples of each step.
  bool per_step_stats = false;
};

/// One query, whoever asks it.
struct QueryCall {
  absl::string_view expression;
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 0;
  std::int64_t step_ms = 0;  // 0: an instant query at the start.
  promql::QueryOptions options;
  QueryOrigin origin;
  /// Whether who asked is gone; may be empty.
  const std::function<bool()>& is_cancelled;
};

/// Evaluates a query: counted, listed while it runs, ended when the client
/// hangs up, logged as the configuration says.
absl::StatusOr<promql::QueryResult> RunQuery(QueryContext& context,
                                             QueryCall call);

}  // namespace narthex::querier
