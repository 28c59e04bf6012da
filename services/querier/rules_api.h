#pragma once

#include "services/querier/answer.h"
#include "services/querier/peers.h"

namespace narthex::querier {

/// /rules, /alerts and /alertmanagers: what the rulers know. `rulers` outlives
/// the routes.
void AddRuleRoutes(ApiRoutes& routes, Peers& rulers);

}  // namespace narthex::querier
