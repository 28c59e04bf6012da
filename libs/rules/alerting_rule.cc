#include "libs/rules/alerting_rule.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/base/url_query.h"

namespace narthex::rules {
namespace {

// How long a resolved alert is remembered and sent again, so that it gets
// through although Alertmanagers restart.
constexpr std::int64_t kResolvedRetentionMs = 15 * 60 * 1000;

constexpr absl::string_view kStateLabel = "alertstate";

std::string StateName(AlertState state) {
  return state == AlertState::kFiring ? "firing" : "pending";
}

std::vector<std::pair<std::string, AlertTemplate>> ParseAll(
    const std::string& alert_name,
    const std::vector<std::pair<std::string, std::string>>& texts) {
  std::vector<std::pair<std::string, AlertTemplate>> parsed;
  for (const auto& [name, text] : texts) {
    // Rule files with templates that do not parse were refused.
    auto result = AlertTemplate::Create(alert_name, text);
    if (result.ok()) parsed.emplace_back(name, *std::move(result));
  }
  return parsed;
}

}  // namespace

AlertingRule::AlertingRule(RuleSpec rule_spec, model::Labels rule_labels,
                           bool restore, base::Logger log)
    : Rule(std::move(rule_spec), std::move(rule_labels)),
      log_(std::move(log)),
      label_templates_(ParseAll(name(), labels().ToPairs())),
      annotation_templates_(ParseAll(
          name(), {spec().annotations.begin(), spec().annotations.end()})),
      restored_(!restore) {
  for (const Templates* all : {&label_templates_, &annotation_templates_}) {
    for (const auto& [unused, text] : *all) {
      needs_data_ = needs_data_ || !text.is_constant();
    }
  }
}

std::string AlertingRule::Expand(const AlertTemplate& text,
                                 const AlertTemplateData* data) const {
  if (text.is_constant() || data == nullptr) return text.text();
  auto expanded = text.Expand(*data);
  if (expanded.ok()) return *std::move(expanded);
  log_.Warn("expanding alert template failed",
            {{"alert", name()}, {"err", expanded.status().message()}});
  // The alert matters more than its text.
  return absl::StrCat(
      "<error expanding template: ", expanded.status().message(), ">");
}

absl::StatusOr<AlertingRule::Alerts> AlertingRule::NewAlerts(
    const EvaluationContext& context,
    const std::vector<promql::VectorSample>& vector) const {
  tmpl::PrometheusContext functions;
  functions.time_ms = context.time_ms;
  functions.external_url = std::string(context.external_url);
  functions.query = [&context](absl::string_view expression,
                               std::int64_t time_ms)
      -> absl::StatusOr<std::vector<tmpl::QuerySample>> {
    NARTHEX_ASSIGN_OR_RETURN(
        const auto samples,
        (*context.query)(expression, time_ms, context.origin));
    std::vector<tmpl::QuerySample> out;
    out.reserve(samples.size());
    for (const auto& sample : samples) {
      out.push_back({sample.labels, sample.value});
    }
    return out;
  };
  Alerts alerts;
  alerts.reserve(vector.size());
  model::LabelsBuilder builder;
  for (const promql::VectorSample& sample : vector) {
    std::optional<AlertTemplateData> data;
    if (needs_data_) {
      data = NewAlertTemplateData(sample.labels, sample.value,
                                  *context.external_labels, functions);
    }
    const AlertTemplateData* shared = data ? &*data : nullptr;
    builder.Reset(sample.labels);
    builder.Del(model::kMetricName);
    for (const auto& [label, text] : label_templates_) {
      builder.Set(label, Expand(text, shared));
    }
    builder.Set(model::kAlertName, name());
    Alert alert;
    alert.active_at_ms = context.time_ms;
    alert.value = sample.value;
    std::vector<std::pair<std::string, std::string>> annotations;
    for (const auto& [label, text] : annotation_templates_) {
      annotations.emplace_back(label, Expand(text, shared));
    }
    alert.annotations = model::Labels(std::move(annotations));
    if (!alerts.emplace(builder.Build(), std::move(alert)).second) {
      return absl::FailedPreconditionError(
          "vector contains metrics with the same labelset after applying alert "
          "labels");
    }
  }
  return alerts;
}

bool AlertingRule::Advance(bool in_result, std::int64_t time_ms,
                           Alert* alert) const {
  const bool long_enough = time_ms - alert->active_at_ms >= spec().for_ms;
  if (in_result) {
    alert->keep_firing_since_ms = 0;
    if (alert->state == AlertState::kPending && long_enough) {
      alert->state = AlertState::kFiring;
      alert->fired_at_ms = time_ms;
    } else if (alert->state == AlertState::kFiring && !long_enough) {
      // A reload made `for` longer.
      alert->state = AlertState::kPending;
      alert->fired_at_ms = 0;
    }
    return true;
  }
  if (alert->state == AlertState::kFiring && spec().keep_firing_for_ms > 0) {
    if (alert->keep_firing_since_ms == 0) {
      alert->keep_firing_since_ms = time_ms;
    }
    if (time_ms - alert->keep_firing_since_ms < spec().keep_firing_for_ms) {
      return true;
    }
  }
  if (alert->state == AlertState::kPending) return false;
  if (alert->resolved_at_ms != 0 &&
      time_ms - alert->resolved_at_ms > kResolvedRetentionMs) {
    return false;
  }
  if (alert->state != AlertState::kInactive) {
    alert->state = AlertState::kInactive;
    alert->resolved_at_ms = time_ms;
  }
  return true;
}

void AlertingRule::AppendSamples(const model::Labels& alert_labels,
                                 const Alert& alert, std::int64_t time_ms,
                                 std::vector<ResultSample>* out) const {
  model::LabelsBuilder builder(alert_labels);
  builder.Set(model::kMetricName, kForStateMetric);
  const std::int64_t active_at_s = alert.active_at_ms / 1000;
  out->push_back({builder.Build(), time_ms, static_cast<double>(active_at_s)});
  builder.Set(model::kMetricName, kAlertsMetric);
  builder.Set(kStateLabel, StateName(alert.state));
  out->push_back({builder.Build(), time_ms, 1});
}

absl::StatusOr<std::vector<ResultSample>> AlertingRule::Evaluate(
    const EvaluationContext& context) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<promql::VectorSample> vector,
                           Query(context));
  // Templates may query, so this happens without the lock.
  NARTHEX_ASSIGN_OR_RETURN(Alerts fresh, NewAlerts(context, vector));

  std::vector<ResultSample> samples;
  std::size_t active_count = 0;
  base::MutexLock lock(mutex_);
  evaluated_ = true;
  for (auto& [alert_labels, alert] : fresh) {
    Alert& known = active_[alert_labels];
    const bool goes_on =
        known.active_at_ms != 0 && known.state != AlertState::kInactive;
    if (goes_on) {
      known.value = alert.value;
      known.annotations = alert.annotations;
    } else {
      known = alert;
    }
  }
  for (auto it = active_.begin(); it != active_.end();) {
    const auto current = it++;
    Alert& alert = current->second;
    const bool in_result = fresh.contains(current->first);
    if (!Advance(in_result, context.time_ms, &alert)) {
      active_.erase(current);
      continue;
    }
    if (alert.state == AlertState::kInactive) continue;
    ++active_count;
    if (restored_) {
      AppendSamples(current->first, alert, context.sample_time_ms(), &samples);
    }
  }
  if (context.limit > 0 &&
      active_count > static_cast<std::size_t>(context.limit)) {
    active_.clear();
    return absl::FailedPreconditionError(absl::StrCat("exceeded limit of ",
                                                      context.limit, " with ",
                                                      active_count, " alerts"));
  }
  return samples;
}

std::vector<OutgoingAlert> AlertingRule::TakeAlertsToSend(
    std::int64_t time_ms, std::int64_t resend_delay_ms,
    std::int64_t interval_ms, absl::string_view external_url) {
  std::vector<OutgoingAlert> alerts;
  const std::string generator_url = absl::StrCat(
      external_url, "/graph?g0.expr=", base::EscapeUrlQuery(query()),
      "&g0.tab=1");
  base::MutexLock lock(mutex_);
  for (auto& [alert_labels, alert] : active_) {
    if (alert.state == AlertState::kPending) continue;
    const bool just_resolved = alert.resolved_at_ms > alert.last_sent_at_ms;
    const bool due = alert.last_sent_at_ms + resend_delay_ms < time_ms;
    if (!just_resolved && !due) continue;
    alert.last_sent_at_ms = time_ms;
    // Two evaluations or sendings may fail before it counts as resolved.
    alert.valid_until_ms = time_ms + 4 * std::max(interval_ms, resend_delay_ms);
    alerts.push_back({alert_labels, alert.annotations, alert.fired_at_ms,
                      alert.resolved_at_ms != 0 ? alert.resolved_at_ms
                                                : alert.valid_until_ms,
                      generator_url});
  }
  std::sort(alerts.begin(), alerts.end(),
            [](const OutgoingAlert& a, const OutgoingAlert& b) {
              return a.labels < b.labels;
            });
  return alerts;
}

void AlertingRule::CopyState(const AlertingRule& from) {
  Alerts alerts;
  bool restored = false;
  bool evaluated = false;
  {
    base::ReaderMutexLock lock(from.mutex_);
    alerts = from.active_;
    restored = from.restored_;
    evaluated = from.evaluated_;
  }
  base::MutexLock lock(mutex_);
  active_ = std::move(alerts);
  restored_ = restored;
  evaluated_ = evaluated;
}

bool AlertingRule::awaits_restoration() const {
  base::ReaderMutexLock lock(mutex_);
  return !restored_;
}

void AlertingRule::Restore(const StoredStates& states, std::int64_t time_ms,
                           std::int64_t grace_period_ms) {
  base::MutexLock lock(mutex_);
  restored_ = true;
  for (auto& [alert_labels, alert] : active_) {
    const auto stored = states.find(alert_labels);
    if (stored == states.end()) continue;
    const std::int64_t down_at_ms = stored->second.last_seen_ms;
    std::int64_t active_at_ms = stored->second.active_at_ms;
    const std::int64_t left_ms = spec().for_ms - (down_at_ms - active_at_ms);
    if (left_ms > 0 && left_ms < grace_period_ms) {
      active_at_ms = time_ms + grace_period_ms - spec().for_ms;
    } else if (left_ms > 0) {
      // Being down does not count as pending.
      active_at_ms += time_ms - down_at_ms;
    }
    alert.active_at_ms = active_at_ms;
  }
}

RuleStatus AlertingRule::Status() const {
  RuleStatus status = Rule::Status();
  status.alerting = true;
  status.for_ms = spec().for_ms;
  status.keep_firing_for_ms = spec().keep_firing_for_ms;
  status.annotations =
      model::Labels({spec().annotations.begin(), spec().annotations.end()});
  base::ReaderMutexLock lock(mutex_);
  if (evaluated_) status.state = AlertState::kInactive;
  for (const auto& [alert_labels, alert] : active_) {
    if (alert.resolved_at_ms != 0) continue;
    status.alerts.push_back({alert_labels, alert.annotations, alert.state,
                             alert.active_at_ms, alert.keep_firing_since_ms,
                             alert.value});
    status.state = std::max(status.state, alert.state);
  }
  std::sort(status.alerts.begin(), status.alerts.end(),
            [](const AlertStatus& a, const AlertStatus& b) {
              return a.labels < b.labels;
            });
  return status;
}

}  // namespace narthex::rules
