#include "libs/discovery/metrics.h"

namespace narthex::discovery {

Metrics::Metrics(metrics::Registry& to, const std::string& what)
    : registry(to),
      failed_configs(registry.NewGauge(
          "prometheus_sd_failed_configs",
          "Current number of service discovery configurations that failed to "
          "load.",
          {{"name", what}})),
      discovered_targets(registry.NewGaugeFamily(
          "prometheus_sd_discovered_targets",
          "Current number of discovered targets.", {"name", "config"})),
      received_updates(registry.NewCounter(
          "prometheus_sd_received_updates_total",
          "Total number of update events received from the SD providers.",
          {{"name", what}})),
      delayed_updates(registry.NewCounter(
          "prometheus_sd_updates_delayed_total",
          "Total number of update events that couldn't be sent immediately.",
          {{"name", what}})),
      sent_updates(registry.NewCounter(
          "prometheus_sd_updates_total",
          "Total number of update events sent to the SD consumers.",
          {{"name", what}})),
      last_update(registry.NewGaugeFamily(
          "prometheus_sd_last_update_timestamp_seconds",
          "Timestamp of the last update sent to the SD consumers.",
          {"name", "config"})),
      file_mtime(registry.NewGaugeFamily(
          "prometheus_sd_file_mtime_seconds",
          "Timestamp (mtime) of files read by FileSD. Timestamp is set at "
          "read time.",
          {"filename"})),
      file_scan_duration(registry.NewSummary(
          "prometheus_sd_file_scan_duration_seconds",
          "The duration of the File-SD scan in seconds.", {0.5, 0.9, 0.99})),
      file_read_errors(
          registry.NewCounter("prometheus_sd_file_read_errors_total",
                              "The number of File-SD read errors.")),
      file_watcher_errors(registry.NewCounter(
          "prometheus_sd_file_watcher_errors_total",
          "The number of File-SD errors caused by filesystem watch "
          "failures.")),
      name(what) {}

RefreshMetrics Metrics::ForRefresh(const std::string& mechanism,
                                   const std::string& job) const {
  const metrics::LabelPairs labels = {{"mechanism", mechanism},
                                      {"config", job}};
  return {registry.NewCounter(
              "prometheus_sd_refresh_failures_total",
              "Number of refresh failures for the given SD mechanism.", labels),
          registry.NewSummary(
              "prometheus_sd_refresh_duration_seconds",
              "The duration of a refresh in seconds for the given SD "
              "mechanism.",
              {0.5, 0.9, 0.99}, labels),
          registry.NewHistogram(
              "prometheus_sd_refresh_duration_histogram_seconds",
              "The duration of a refresh for the given SD mechanism.",
              {0.01, 0.1, 1, 10}, {{"mechanism", mechanism}})};
}

}  // namespace narthex::discovery
