#pragma once

#include <atomic>
#include <cstdint>

#include "libs/base/clock.h"
#include "libs/promql/engine.h"
#include "libs/storage/storage.h"
#include "services/querier/answer.h"
#include "services/querier/hangup_watch.h"
#include "services/querier/metrics.h"

namespace narthex::querier {

/// What queries need; all of it outlives the routes.
struct QueryContext {
  promql::Engine& engine;
  storage::Queryable& storage;
  base::Clock& clock;
  HangupWatch& hangups;
  Metrics& metrics;
  /// The step of subqueries that name none: the evaluation interval of the
  /// configuration as last loaded.
  std::atomic<std::int64_t> subquery_step_ms{60'000};
};

/// /query, /query_range, /query_exemplars, /format_query and /parse_query.
void AddQueryRoutes(ApiRoutes& routes, QueryContext& context);

}  // namespace narthex::querier
