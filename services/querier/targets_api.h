#pragma once

#include "services/querier/answer.h"
#include "services/querier/peers.h"

namespace narthex::querier {

/// /targets, /targets/metadata, /scrape_pools and /metadata: what the
/// scrapers know. `scrapers` outlives the routes.
void AddTargetRoutes(ApiRoutes& routes, Peers& scrapers);

}  // namespace narthex::querier
