#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "services/alertmanager/alert_store.h"
#include "services/alertmanager/config.h"
#include "services/alertmanager/dispatcher.h"
#include "services/alertmanager/event_loop.h"
#include "services/alertmanager/http_sender.h"
#include "services/alertmanager/inhibitor.h"
#include "services/alertmanager/metrics.h"
#include "services/alertmanager/notification_log.h"
#include "services/alertmanager/pipeline.h"
#include "services/alertmanager/silences.h"
#include "services/alertmanager/state_store.h"

namespace narthex::alertmanager {

struct AlertmanagerOptions {
  std::string storage_path = "data/";
  std::string external_url;
  /// Of this program, for a metric.
  std::string version;
  /// Log every silence that is made, changed or expired.
  bool log_silences = false;
  MatcherSyntax matcher_syntax = MatcherSyntax::kFallback;
  /// Of silences after their end and of the notification log.
  std::int64_t retention_ms = std::int64_t{120} * 3600 * 1000;
  std::int64_t maintenance_interval_ms = 15 * 60 * 1000;
  std::int64_t max_silences = 0;
  std::int64_t max_silence_bytes = 0;
  std::int64_t alert_gc_interval_ms = 30 * 60 * 1000;
  std::int64_t per_alertname_limit = 0;
  DispatcherOptions dispatcher;
};

/// All that follows from one configuration. Replaced as a whole on reload.
struct Generation {
  Config config;
  std::shared_ptr<const Route> route;
  std::shared_ptr<Inhibitor> inhibitor;
  std::shared_ptr<Pipeline> pipeline;
  std::shared_ptr<Dispatcher> dispatcher;
};

/// What mutes an alert.
struct AlertStatus {
  std::vector<std::string> silenced_by;
  std::vector<std::string> inhibited_by;
  bool suppressed() const {
    return !silenced_by.empty() || !inhibited_by.empty();
  }
};

/// The Alertmanager without its HTTP face: takes alerts and silences, and
/// notifies. Thread-safe.
class Alertmanager : private AlertSink {
 public:
  using SenderFactory =
      std::function<std::unique_ptr<HttpSender>(EventLoop& loop)>;

  /// Opens the state in options.storage_path. `clock` and `registry` must
  /// outlive the object. Nothing happens before ApplyConfig() and Start().
  static absl::StatusOr<std::unique_ptr<Alertmanager>> Create(
      AlertmanagerOptions options, base::Clock& clock,
      metrics::Registry& registry, base::Logger log,
      const SenderFactory& make_sender);
  ~Alertmanager() override;

  /// Puts a configuration into force. Groups are built anew from the alerts
  /// that are held; the notification log keeps receivers from being told
  /// again. After an error the old one stays. Not on the event loop.
  absl::Status ApplyConfig(Config config) ABSL_LOCKS_EXCLUDED(mutex_);

  /// Runs the event loop on a thread; tests turn loop() themselves instead.
  void Start();
  /// Lets running attempts finish, at most `wait_ms`. Idempotent.
  void Stop(std::int64_t wait_ms) ABSL_LOCKS_EXCLUDED(mutex_);

  /// The configuration in force; null before the first.
  std::shared_ptr<const Generation> generation() const
      ABSL_LOCKS_EXCLUDED(mutex_);
  AlertStatus StatusOf(const Generation& generation, const Alert& alert) const;

  const AlertmanagerOptions& options() const { return options_; }
  base::Clock& clock() { return clock_; }
  EventLoop& loop() { return loop_; }
  AlertStore& alerts() { return alerts_; }
  Silences& silences() { return *silences_; }
  Metrics& metrics() { return metrics_; }
  const base::Logger& log() const { return log_; }
  std::int64_t start_time_ms() const { return start_time_ms_; }

 private:
  Alertmanager(AlertmanagerOptions options, base::Clock& clock,
               metrics::Registry& registry, base::Logger log);

  void OnAlerts(const std::vector<Alert>& alerts) override;
  absl::StatusOr<Receivers> BuildReceivers(const Config& config);
  void RegisterGauges(metrics::Registry& registry);
  /// Repeats `work` on the event loop.
  void Every(std::int64_t interval_ms, std::function<void()> work);
  void Maintain();
  std::size_t CountAlerts(bool suppressed) const;

  const AlertmanagerOptions options_;
  base::Clock& clock_;
  const base::Logger log_;
  Metrics metrics_;
  const std::int64_t start_time_ms_;
  std::unique_ptr<StateStore> store_;
  std::unique_ptr<Silences> silences_;
  std::unique_ptr<NotificationLog> notification_log_;
  AlertStore alerts_;
  EventLoop loop_;
  std::unique_ptr<HttpSender> sender_;

  base::Mutex apply_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  mutable base::Mutex mutex_;
  std::shared_ptr<const Generation> generation_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::alertmanager
