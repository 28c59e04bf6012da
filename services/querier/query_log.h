#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"
#include "libs/base/mutex.h"
#include "libs/metrics/metrics.h"
#include "libs/promql/engine.h"

namespace narthex::querier {

/// Who asks a query: a client of the HTTP API, or a rule group.
struct QueryOrigin {
  std::string client_ip;
  std::string method;
  std::string path;
  std::string rule_file;
  std::string rule_group;

  /// For people: "127.0.0.1 GET /api/v1/query".
  std::string Text() const;
};

/// What is logged of a query.
struct LoggedQuery {
  std::string expression;
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 0;
  std::int64_t step_ms = 0;
  const QueryOrigin& origin;
  const promql::QueryStats& stats;
  std::string error;  // Empty: it went well.
};

/// The file of `global.query_log_file`: a line of JSON for every query, as
/// Prometheus writes it. Thread-safe.
class QueryLog {
 public:
  QueryLog(base::Clock& clock, metrics::Registry& registry);

  /// Writes to the end of `path` from now on; nowhere when that is empty.
  /// Opens it anew, so that a file that was moved away is let go.
  absl::Status SetFile(const std::string& path) ABSL_LOCKS_EXCLUDED(mutex_);

  void Write(const LoggedQuery& query) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  base::Clock& clock_;
  metrics::Gauge& enabled_;
  metrics::Counter& failures_;
  base::Mutex mutex_;
  base::UniqueFd file_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::querier
