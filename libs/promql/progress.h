#pragma once

#include <atomic>
#include <cstdint>

namespace narthex::promql {

/// How far a query is; written while it is evaluated, read by any thread.
struct QueryProgress {
  std::atomic<std::int64_t> samples_read{0};      // From storage, by now.
  std::atomic<std::int64_t> columns_received{0};  // Evaluated elsewhere.
  std::atomic<std::int64_t> bytes_held{0};        // Estimated; at the moment.
};

}  // namespace narthex::promql
