#pragma once

#include <cstdint>

#include "libs/metrics/metrics.h"

namespace narthex::service {

/// Adds what every Prometheus client library says about its process
/// (process_cpu_seconds_total, process_resident_memory_bytes,
/// process_open_fds ...), read from /proc at each exposition.
/// `start_time_ms` is Unix time.
void AddProcessMetrics(metrics::Registry& registry, std::int64_t start_time_ms);

}  // namespace narthex::service
