#pragma once

#include <string>
#include <utility>
#include <vector>

#include "libs/service/process.h"
#include "services/pushgateway/store.h"

namespace narthex::pushgateway {

/// The answer of GET /api/v1/metrics.
std::string MetricsJson(const std::vector<Store::Group>& groups);

/// The answer of GET /api/v1/status.
std::string StatusJson(
    const std::vector<std::pair<std::string, std::string>>& flags,
    std::int64_t start_time_ms);

}  // namespace narthex::pushgateway
