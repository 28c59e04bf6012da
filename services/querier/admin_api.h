#pragma once

#include "libs/base/log.h"
#include "libs/cluster/queryable.h"
#include "services/querier/answer.h"

namespace narthex::querier {

/// /admin/tsdb/{delete_series,clean_tombstones,snapshot}. When not `enabled`
/// they answer that they are not. Every use is logged. `ingesters` outlives
/// the routes.
void AddAdminRoutes(ApiRoutes& routes, cluster::IngesterQueryable& ingesters,
                    bool enabled, base::Logger log);

}  // namespace narthex::querier
