#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "libs/rules/alert_template.h"
#include "libs/rules/rule.h"

namespace narthex::rules {

inline constexpr absl::string_view kAlertsMetric = "ALERTS";
inline constexpr absl::string_view kForStateMetric = "ALERTS_FOR_STATE";

/// Turns the series its expression yields into alerts and follows each from
/// pending to firing to resolved. Times are Unix ms; 0 means never.
class AlertingRule : public Rule {
 public:
  AlertingRule(RuleSpec spec, model::Labels labels, bool restore,
               base::Logger log);

  absl::StatusOr<std::vector<ResultSample>> Evaluate(
      const EvaluationContext& context) override;

  /// The alerts to send now: firing ones not sent for `resend_delay_ms`, and
  /// those resolved since they were sent. They count as sent.
  std::vector<OutgoingAlert> TakeAlertsToSend(std::int64_t time_ms,
                                              std::int64_t resend_delay_ms,
                                              std::int64_t interval_ms,
                                              absl::string_view external_url)
      ABSL_LOCKS_EXCLUDED(mutex_);

  /// Takes over the alerts of an earlier version of the rule.
  void CopyState(const AlertingRule& from) ABSL_LOCKS_EXCLUDED(mutex_);

  /// What a series of ALERTS_FOR_STATE said last before the restart.
  struct StoredState {
    std::int64_t active_at_ms = 0;
    std::int64_t last_seen_ms = 0;
  };
  /// Labels without the metric name.
  using StoredStates = absl::flat_hash_map<model::Labels, StoredState>;

  /// Whether ALERTS series are still held back until Restore().
  bool awaits_restoration() const ABSL_LOCKS_EXCLUDED(mutex_);
  /// Gives the active alerts back the time they were pending for before the
  /// restart, as of `time_ms`; an alert that would fire within
  /// `grace_period_ms` waits for it. From now on ALERTS series are written.
  void Restore(const StoredStates& states, std::int64_t time_ms,
               std::int64_t grace_period_ms) ABSL_LOCKS_EXCLUDED(mutex_);

  RuleStatus Status() const override ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Alert {
    model::Labels annotations;
    AlertState state = AlertState::kPending;
    double value = 0;
    std::int64_t active_at_ms = 0;
    std::int64_t fired_at_ms = 0;
    std::int64_t resolved_at_ms = 0;
    std::int64_t keep_firing_since_ms = 0;
    std::int64_t last_sent_at_ms = 0;
    std::int64_t valid_until_ms = 0;
  };
  using Alerts = absl::flat_hash_map<model::Labels, Alert>;
  using Templates = std::vector<std::pair<std::string, AlertTemplate>>;

  absl::StatusOr<Alerts> NewAlerts(
      const EvaluationContext& context,
      const std::vector<promql::VectorSample>& vector) const;
  std::string Expand(const AlertTemplate& text,
                     const AlertTemplateData* data) const;
  /// Moves one alert on; false when it is to be forgotten.
  bool Advance(bool in_result, std::int64_t time_ms, Alert* alert) const;
  void AppendSamples(const model::Labels& labels, const Alert& alert,
                     std::int64_t time_ms,
                     std::vector<ResultSample>* out) const;

  const base::Logger log_;
  Templates label_templates_;
  Templates annotation_templates_;
  bool needs_data_ = false;  // Some template is not constant.
  bool evaluated_ ABSL_GUARDED_BY(mutex_) = false;
  bool restored_ ABSL_GUARDED_BY(mutex_) = true;
  Alerts active_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::rules
