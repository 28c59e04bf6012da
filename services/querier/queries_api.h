#pragma once

#include "libs/cluster/queryable.h"
#include "services/querier/answer.h"
#include "services/querier/running_queries.h"

namespace narthex::querier {

/// GET /status/queries lists what is being evaluated, with what it has cost by
/// now, here and in `ingesters`; DELETE /status/queries/<id> ends one, provided
/// that `may_cancel`.
void AddQueriesRoutes(ApiRoutes& routes, RunningQueries& running,
                      cluster::IngesterQueryable& ingesters, bool may_cancel);

}  // namespace narthex::querier
