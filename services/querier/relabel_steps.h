#pragma once

#include "services/querier/answer.h"
#include "services/querier/loaded_config.h"

namespace narthex::querier {

/// /targets/relabel_steps and /scrape_pools/config: what the configuration
/// says about scrape pools. `config` outlives the routes.
void AddScrapePoolRoutes(ApiRoutes& routes, const LoadedConfig& config);

}  // namespace narthex::querier
