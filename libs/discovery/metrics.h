#pragma once

#include <string>

#include "libs/metrics/metrics.h"

namespace narthex::discovery {

/// What polling mechanisms count, one set for a mechanism and a job.
struct RefreshMetrics {
  metrics::Counter& failures;
  metrics::Summary& duration;
  metrics::Histogram& duration_histogram;  // Of the mechanism.
};

/// Counters of discovery under Prometheus's names.
struct Metrics {
  /// `what` tells apart whose targets these are: "scrape", "notify".
  Metrics(metrics::Registry& registry, const std::string& what);

  RefreshMetrics ForRefresh(const std::string& mechanism,
                            const std::string& job) const;

  /// For what only one mechanism counts.
  metrics::Registry& registry;
  metrics::Gauge& failed_configs;
  metrics::GaugeFamily& discovered_targets;  // name, config
  metrics::Counter& received_updates;
  metrics::Counter& delayed_updates;
  metrics::Counter& sent_updates;
  metrics::GaugeFamily& last_update;  // name, config
  metrics::GaugeFamily& file_mtime;   // filename
  metrics::Summary& file_scan_duration;
  metrics::Counter& file_read_errors;
  metrics::Counter& file_watcher_errors;

  const std::string name;
};

}  // namespace narthex::discovery
