#pragma once

#include "services/querier/answer.h"
#include "services/querier/running_queries.h"

namespace narthex::querier {

/// GET /status/queries lists what is being evaluated, DELETE
/// /status/queries/<id> ends one, provided that `may_cancel`.
void AddQueriesRoutes(ApiRoutes& routes, RunningQueries& running,
                      bool may_cancel);

}  // namespace narthex::querier
