#pragma once

#include "services/querier/answer.h"
#include "services/querier/query_run.h"

namespace narthex::querier {

/// /query, /query_range, /format_query and /parse_query.
void AddQueryRoutes(ApiRoutes& routes, QueryContext& context);

}  // namespace narthex::querier
