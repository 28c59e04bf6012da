#include "services/alertmanager/metrics.h"

#include "services/alertmanager/receiver_kinds.h"

namespace narthex::alertmanager {
namespace {

metrics::Counter& Received(metrics::Registry& registry, const char* status) {
  return registry.NewCounter("alertmanager_alerts_received_total",
                             "The total number of received alerts.",
                             {{"status", status}, {"version", "v2"}});
}

}  // namespace

Metrics::Metrics(metrics::Registry& registry)
    : received_firing_(Received(registry, "firing")),
      received_resolved_(Received(registry, "resolved")),
      invalid_(registry.NewCounter(
          "alertmanager_alerts_invalid_total",
          "The total number of received alerts that were invalid.",
          {{"version", "v2"}})),
      notifications_(registry.NewCounterFamily(
          "alertmanager_notifications_total",
          "The total number of attempted notifications.", {"integration"})),
      failed_(
          registry.NewCounterFamily("alertmanager_notifications_failed_total",
                                    "The total number of failed notifications.",
                                    {"integration", "reason"})),
      requests_(registry.NewCounterFamily(
          "alertmanager_notification_requests_total",
          "The total number of attempted notification requests.",
          {"integration"})),
      requests_failed_(registry.NewCounterFamily(
          "alertmanager_notification_requests_failed_total",
          "The total number of failed notification requests.",
          {"integration"})),
      suppressed_(registry.NewCounterFamily(
          "alertmanager_notifications_suppressed_total",
          "The total number of notifications suppressed for being silenced, "
          "inhibited, outside of active time intervals or within muted time "
          "intervals.",
          {"reason"})),
      latency_(registry.NewHistogramFamily(
          "alertmanager_notification_latency_seconds",
          "The latency of notifications in seconds.", {"integration"},
          {1, 5, 10, 15, 20})),
      silences_maintenance_(
          registry.NewCounter("alertmanager_silences_maintenance_total",
                              "How many maintenances were executed for "
                              "silences.")),
      silences_maintenance_errors_(registry.NewCounter(
          "alertmanager_silences_maintenance_errors_total",
          "How many maintenances were executed for silences that failed.")),
      log_maintenance_(
          registry.NewCounter("alertmanager_nflog_maintenance_total",
                              "How many maintenances were executed for the "
                              "notification log.")),
      log_maintenance_errors_(registry.NewCounter(
          "alertmanager_nflog_maintenance_errors_total",
          "How many maintenances were executed for the notification log that "
          "failed.")),
      log_queries_(registry.NewCounter(
          "alertmanager_nflog_queries_total",
          "Number of notification log queries were received.")),
      config_hash_(registry.NewGauge(
          "alertmanager_config_hash",
          "Hash of the currently loaded alertmanager configuration.")),
      config_successful_(registry.NewGauge(
          "alertmanager_config_last_reload_successful",
          "Whether the last configuration reload attempt was successful.")),
      config_time_(registry.NewGauge(
          "alertmanager_config_last_reload_success_timestamp_seconds",
          "Timestamp of the last successful configuration reload.")),
      inhibition_rules_(
          registry.NewGauge("alertmanager_inhibition_rules",
                            "Number of configured inhibition rules.")),
      integrations_(registry.NewGauge("alertmanager_integrations",
                                      "Number of configured integrations.")) {
  std::vector<std::string> kinds = {"webhook"};
  for (const ReceiverKind& kind : ReceiverKinds()) {
    kinds.emplace_back(kind.name);
  }
  for (const std::string& kind : kinds) {
    notifications_.With({kind});
    requests_.With({kind});
    requests_failed_.With({kind});
    latency_.With({kind});
    for (int i = 0; i <= static_cast<int>(FailureReason::kOther); ++i) {
      failed_.With({kind, std::string(FailureReasonName(FailureReason{i}))});
    }
  }
  for (const char* reason : {"silence", "inhibition", "mute_time_interval",
                             "active_time_interval"}) {
    suppressed_.With({reason});
  }
}

void Metrics::RequestDone(const std::string& kind, bool failed,
                          double seconds) {
  requests_.With({kind}).Inc();
  if (failed) requests_failed_.With({kind}).Inc();
  latency_.With({kind}).Observe(seconds);
}

void Metrics::MaintenanceDone(bool silences_ok, bool log_ok) {
  silences_maintenance_.Inc();
  log_maintenance_.Inc();
  if (!silences_ok) silences_maintenance_errors_.Inc();
  if (!log_ok) log_maintenance_errors_.Inc();
}

void Metrics::ConfigLoaded(double hash, std::int64_t now_ms) {
  config_hash_.Set(hash);
  config_successful_.Set(1);
  config_time_.Set(static_cast<double>(now_ms) / 1000);
}

void Metrics::SetShape(std::size_t inhibition_rules, std::size_t integrations) {
  inhibition_rules_.Set(static_cast<double>(inhibition_rules));
  integrations_.Set(static_cast<double>(integrations));
}

}  // namespace narthex::alertmanager
