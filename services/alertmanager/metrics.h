#pragma once

#include <string>

#include "libs/metrics/metrics.h"
#include "services/alertmanager/notifier.h"

namespace narthex::alertmanager {

/// The metrics of the Alertmanager that count events, under the names of the
/// original. Thread-safe.
class Metrics {
 public:
  explicit Metrics(metrics::Registry& registry);

  void AlertReceived(bool firing) {
    (firing ? received_firing_ : received_resolved_).Inc();
  }
  void AlertInvalid() { invalid_.Inc(); }

  void NotificationStarted(const std::string& kind) {
    notifications_.With({kind}).Inc();
  }
  void RequestDone(const std::string& kind, bool failed, double seconds);
  void NotificationFailed(const std::string& kind, FailureReason reason) {
    failed_.With({kind, std::string(FailureReasonName(reason))}).Inc();
  }
  /// `reason`: "silence", "inhibition", "mute_time_interval",
  /// "active_time_interval".
  void Suppressed(const std::string& reason, std::size_t alerts) {
    suppressed_.With({reason}).Inc(static_cast<double>(alerts));
  }

  void MaintenanceDone(bool silences_ok, bool log_ok);
  void LogQueried() { log_queries_.Inc(); }

  /// A reload, or the first load, and what came of it.
  void ConfigLoaded(double hash, std::int64_t now_ms);
  void ConfigFailed() { config_successful_.Set(0); }
  void SetShape(std::size_t inhibition_rules, std::size_t integrations);

 private:
  metrics::Counter& received_firing_;
  metrics::Counter& received_resolved_;
  metrics::Counter& invalid_;
  metrics::CounterFamily& notifications_;
  metrics::CounterFamily& failed_;
  metrics::CounterFamily& requests_;
  metrics::CounterFamily& requests_failed_;
  metrics::CounterFamily& suppressed_;
  metrics::HistogramFamily& latency_;
  metrics::Counter& silences_maintenance_;
  metrics::Counter& silences_maintenance_errors_;
  metrics::Counter& log_maintenance_;
  metrics::Counter& log_maintenance_errors_;
  metrics::Counter& log_queries_;
  metrics::Gauge& config_hash_;
  metrics::Gauge& config_successful_;
  metrics::Gauge& config_time_;
  metrics::Gauge& inhibition_rules_;
  metrics::Gauge& integrations_;
};

}  // namespace narthex::alertmanager
