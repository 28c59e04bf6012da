#include "libs/discovery/metrics.h"

namespace narthex::discovery {

Metrics::Metrics(metrics::Registry& registry, const std::string& what)
    : failed_configs(registry.NewGauge(
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
      file_mtime(registry.NewGaugeFamily(
          "prometheus_sd_file_mtime_seconds",
          "Timestamp (mtime) of files read by FileSD. Timestamp is set at "
          "read time.",
          {"filename"})),
      file_read_errors(
          registry.NewCounter("prometheus_sd_file_read_errors_total",
                              "The number of File-SD read errors.")),
      file_watcher_errors(registry.NewCounter(
          "prometheus_sd_file_watcher_errors_total",
          "The number of File-SD errors caused by filesystem watch "
          "failures.")),
      name(what) {}

}  // namespace narthex::discovery
