#pragma once

#include <string>

#include "libs/metrics/metrics.h"

namespace narthex::discovery {

/// Counters of discovery under Prometheus's names.
struct Metrics {
  /// `what` tells apart whose targets these are: "scrape", "notify".
  Metrics(metrics::Registry& registry, const std::string& what);

  metrics::Gauge& failed_configs;
  metrics::GaugeFamily& discovered_targets;  // name, config
  metrics::Counter& received_updates;
  metrics::Counter& delayed_updates;
  metrics::Counter& sent_updates;
  metrics::GaugeFamily& file_mtime;  // filename
  metrics::Counter& file_read_errors;
  metrics::Counter& file_watcher_errors;

  const std::string name;
};

}  // namespace narthex::discovery
