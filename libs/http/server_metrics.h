#pragma once

#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "libs/base/mutex.h"
#include "libs/http/server.h"
#include "libs/metrics/metrics.h"

namespace narthex::http {

/// Prometheus's own metrics of its HTTP server, by handler. Thread-safe.
class ServerMetrics {
 public:
  explicit ServerMetrics(metrics::Registry& registry);
  void Observe(const Exchange& exchange);
  void CountAccepted() { accepted_.Inc(); }
  void CountClosed() { closed_.Inc(); }

 private:
  // Looked up once for each handler, not for each request.
  struct Handler {
    metrics::Counter* ok;
    metrics::Histogram* seconds;
    metrics::Histogram* bytes;
  };
  const Handler& Of(const std::string& name);

  metrics::CounterFamily& requests_;
  metrics::HistogramFamily& seconds_;
  metrics::HistogramFamily& bytes_;
  metrics::Counter& aborted_;
  metrics::Counter& accepted_;
  metrics::Counter& closed_;
  base::Mutex mutex_;
  absl::flat_hash_map<std::string, std::unique_ptr<Handler>> handlers_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::http
