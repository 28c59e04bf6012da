#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "libs/base/clock.h"
#include "libs/http/router.h"
#include "libs/model/labels.h"
#include "libs/storage/storage.h"
#include "services/querier/metrics.h"

namespace narthex::querier {

/// What federation needs; the references outlive the route.
struct FederationSource {
  storage::Queryable& storage;
  base::Clock& clock;
  Metrics& metrics;
  std::int64_t lookback_delta_ms = 300'000;
  std::function<std::shared_ptr<const model::Labels>()> external_labels;
};

/// GET /federate: the latest samples of the series that match, in the text
/// exposition format, with their timestamps and the external labels that they
/// do not have themselves.
void AddFederation(http::Router& router, FederationSource source);

}  // namespace narthex::querier
