#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace narthex::promql {

/// How far a query is; written while it is evaluated, read by any thread.
struct QueryProgress {
  /// Names the query where its fragments are evaluated; empty: it is not to be
  /// found there. Set before the evaluation begins.
  std::string id;
  // From storage, by now; of what is evaluated elsewhere, when that is done.
  std::atomic<std::int64_t> samples_read{0};
  std::atomic<std::int64_t> series_read{0};
  std::atomic<std::int64_t> columns_received{0};  // Evaluated elsewhere.
  std::atomic<std::int64_t> bytes_held{0};        // Estimated; at the moment.
};

}  // namespace narthex::promql
