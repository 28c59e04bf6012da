#pragma once

#include "libs/cluster/queryable.h"
#include "libs/promql/parser.h"
#include "services/querier/answer.h"

namespace narthex::querier {

/// /query_exemplars: the exemplars of the series that the selectors of an
/// expression name. `ingesters` outlives the routes.
void AddExemplarRoutes(ApiRoutes& routes, cluster::IngesterQueryable& ingesters,
                       const promql::ParserOptions& parser);

}  // namespace narthex::querier
