#include "libs/rules/group.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/model/sample.h"
#include "libs/rules/alerting_rule.h"
#include "libs/rules/restore.h"

namespace narthex::rules {
namespace {

double Seconds(std::int64_t ns) { return static_cast<double>(ns) / 1e9; }

std::int64_t GridOffset(const std::string& file, const std::string& name,
                        std::int64_t interval_ms) {
  const model::Labels labels = {{"file", file}, {"name", name}};
  return static_cast<std::int64_t>(labels.Hash() %
                                   static_cast<std::uint64_t>(interval_ms));
}

}  // namespace

Group::Group(GroupSpec spec, std::string file, GroupSettings settings,
             bool restore, const GroupOptions& options, Metrics& metrics,
             base::Clock& clock, const base::Logger& log)
    : spec_(std::move(spec)),
      file_(std::move(file)),
      key_(absl::StrCat(file_, ";", spec_.name)),
      settings_(std::move(settings)),
      offset_ms_(GridOffset(file_, spec_.name, settings_.interval_ms)),
      options_(options),
      metrics_(metrics, key_),
      clock_(clock),
      log_(log.With({{"file", file_}, {"group", spec_.name}})),
      restores_(restore && options.storage != nullptr) {
  for (const RuleSpec& rule : spec_.rules) {
    rules_.push_back(NewRule(spec_, rule, restores_, log_));
  }
  series_.resize(rules_.size());
  metrics_.interval_seconds.Set(static_cast<double>(settings_.interval_ms) /
                                1000);
  metrics_.rules.Set(static_cast<double>(rules_.size()));
}

std::int64_t Group::GridTime(std::int64_t time_ms) const {
  const std::int64_t shifted = time_ms - offset_ms_;
  return shifted - shifted % settings_.interval_ms + offset_ms_;
}

void Group::CountMissed(std::int64_t missed) {
  metrics_.iterations_missed.Inc(static_cast<double>(missed));
  metrics_.iterations.Inc(static_cast<double>(missed));
}

EvaluationContext Group::ContextAt(std::int64_t time_ms) const {
  EvaluationContext context;
  context.time_ms = time_ms;
  context.query_offset_ms = settings_.query_offset_ms;
  context.limit = spec_.limit;
  context.origin = key_;
  context.query = &options_.query;
  context.external_labels = &settings_.external_labels;
  context.external_url = settings_.external_url;
  return context;
}

void Group::Evaluate(std::int64_t time_ms) {
  const std::int64_t start_ns = clock_.MonotonicNs();
  metrics_.iterations.Inc();
  if (first_evaluation_ms_ == 0) first_evaluation_ms_ = time_ms;
  rule_ns_ = 0;
  samples_ = 0;
  for (std::size_t i = 0; i < rules_.size(); ++i) EvaluateRule(i, time_ms);
  EndStaleSeries(time_ms - settings_.query_offset_ms);
  ++evaluations_;
  RestoreIfDue(time_ms);

  const std::int64_t duration_ns = clock_.MonotonicNs() - start_ns;
  metrics_.last_samples.Set(static_cast<double>(samples_));
  metrics_.group_seconds.Observe(Seconds(duration_ns));
  metrics_.last_duration_seconds.Set(Seconds(duration_ns));
  metrics_.last_rule_duration_sum_seconds.Set(Seconds(rule_ns_));
  metrics_.last_evaluation_timestamp.Set(static_cast<double>(time_ms) / 1000);
  base::MutexLock lock(mutex_);
  evaluation_ns_ = duration_ns;
  last_evaluation_ms_ = time_ms;
}

void Group::EvaluateRule(std::size_t index, std::int64_t time_ms) {
  Rule& rule = *rules_[index];
  const EvaluationContext context = ContextAt(time_ms);
  const std::int64_t start_ns = clock_.MonotonicNs();
  metrics_.evaluations.Inc();
  absl::StatusOr<std::vector<ResultSample>> samples = rule.Evaluate(context);
  const std::int64_t duration_ns = clock_.MonotonicNs() - start_ns;
  rule_ns_ += duration_ns;
  metrics_.evaluation_seconds.Observe(Seconds(duration_ns));
  rule.SetResult(samples.status(), time_ms, duration_ns);
  // So ends an evaluation when the process stops.
  if (absl::IsCancelled(samples.status())) return;
  if (!samples.ok()) {
    metrics_.evaluation_failures.Inc();
    log_.Warn("evaluating rule failed", {{"rule", rule.name()},
                                         {"index", index},
                                         {"err", samples.status().message()}});
    return;
  }
  samples_ += samples->size();
  if (auto* alerting = dynamic_cast<AlertingRule*>(&rule)) {
    std::vector<OutgoingAlert> alerts = alerting->TakeAlertsToSend(
        time_ms, options_.resend_delay_ms, settings_.interval_ms,
        settings_.external_url);
    if (!alerts.empty()) options_.notify(std::move(alerts));
  }
  SeriesSet returned;
  EndVanished(index, context.sample_time_ms(), &*samples, &returned);
  const absl::Status appended = Append(*samples, rule.name());
  if (!appended.ok()) {
    metrics_.evaluation_failures.Inc();
    rule.SetHealth(appended);
    log_.Warn("storing the result of a rule failed",
              {{"rule", rule.name()}, {"err", appended.message()}});
    // What ended must be ended again next time; what began may be stored.
    returned.insert(series_[index].begin(), series_[index].end());
  }
  series_[index] = std::move(returned);
}

void Group::EndVanished(std::size_t index, std::int64_t sample_time_ms,
                        std::vector<ResultSample>* samples,
                        SeriesSet* returned) {
  returned->reserve(samples->size());
  for (const ResultSample& sample : *samples) returned->insert(sample.labels);
  for (const model::Labels& labels : series_[index]) {
    if (returned->contains(labels)) continue;
    samples->push_back({labels, sample_time_ms, model::StaleNan()});
  }
}

absl::Status Group::Append(const std::vector<ResultSample>& samples,
                           const std::string& rule) {
  if (samples.empty()) return absl::OkStatus();
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<storage::Rejection> rejections,
                           options_.append(samples));
  std::size_t out_of_order = 0;
  std::size_t duplicates = 0;
  std::size_t too_old = 0;
  std::size_t others = 0;
  for (const storage::Rejection& rejection : rejections) {
    // The end of a series that has newer samples already is no loss.
    if (model::IsStaleNan(samples[rejection.index].value)) continue;
    switch (rejection.reason) {
      case storage::RejectReason::kOutOfOrder:
        ++out_of_order;
        break;
      case storage::RejectReason::kDuplicate:
        ++duplicates;
        break;
      case storage::RejectReason::kTooOld:
        ++too_old;
        break;
      default:
        ++others;
    }
  }
  if (out_of_order + duplicates + too_old + others > 0) {
    log_.Warn("some results of a rule were not taken",
              {{"rule", rule},
               {"out_of_order", out_of_order},
               {"duplicate", duplicates},
               {"too_old", too_old},
               {"other", others}});
  }
  return absl::OkStatus();
}

void Group::EndStaleSeries(std::int64_t sample_time_ms) {
  if (stale_series_.empty()) return;
  std::vector<ResultSample> ends;
  ends.reserve(stale_series_.size());
  for (const model::Labels& labels : stale_series_) {
    ends.push_back({labels, sample_time_ms, model::StaleNan()});
  }
  const absl::Status status = Append(ends, "");
  if (!status.ok()) {
    log_.Warn("ending series failed", {{"err", status.message()}});
    return;
  }
  stale_series_.clear();
}

void Group::EndSeries(std::int64_t time_ms) {
  for (SeriesSet& series : series_) {
    stale_series_.insert(series.begin(), series.end());
    series.clear();
  }
  EndStaleSeries(time_ms - settings_.query_offset_ms);
}

void Group::RestoreIfDue(std::int64_t time_ms) {
  // The first evaluation may have come before the targets were scraped.
  if (!restores_ || evaluations_ < 2) return;
  const std::int64_t start_ns = clock_.MonotonicNs();
  const absl::Status status = Restore(time_ms);
  if (!status.ok()) {
    log_.Warn("restoring alerts failed", {{"err", status.message()}});
    const bool in_time =
        time_ms - first_evaluation_ms_ < options_.outage_tolerance_ms;
    if (absl::IsUnavailable(status) && in_time) return;
    for (const auto& rule : rules_) {
      auto* alerting = dynamic_cast<AlertingRule*>(rule.get());
      if (alerting != nullptr) alerting->Restore({}, time_ms, 0);
    }
  }
  restores_ = false;
  metrics_.last_restore_duration_seconds.Set(
      Seconds(clock_.MonotonicNs() - start_ns));
}

absl::Status Group::Restore(std::int64_t time_ms) {
  for (const auto& rule : rules_) {
    auto* alerting = dynamic_cast<AlertingRule*>(rule.get());
    if (alerting == nullptr || !alerting->awaits_restoration()) continue;
    AlertingRule::StoredStates states;
    // An alert that fires at once has no time to restore.
    if (alerting->spec().for_ms >= options_.for_grace_period_ms) {
      const storage::TimeRange range = {time_ms - options_.outage_tolerance_ms,
                                        time_ms};
      NARTHEX_ASSIGN_OR_RETURN(
          states, ReadStoredStates(*options_.storage, alerting->name(), range));
    }
    alerting->Restore(states, time_ms, options_.for_grace_period_ms);
  }
  return absl::OkStatus();
}

void Group::CopyState(const Group& from) {
  std::vector<bool> taken(from.rules_.size(), false);
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    for (std::size_t j = 0; j < from.rules_.size(); ++j) {
      if (taken[j] || rules_[i]->identity() != from.rules_[j]->identity()) {
        continue;
      }
      taken[j] = true;
      series_[i] = from.series_[j];
      auto* to_alerts = dynamic_cast<AlertingRule*>(rules_[i].get());
      auto* from_alerts = dynamic_cast<AlertingRule*>(from.rules_[j].get());
      if (to_alerts != nullptr && from_alerts != nullptr) {
        to_alerts->CopyState(*from_alerts);
      }
      break;
    }
  }
  stale_series_ = from.stale_series_;
  for (std::size_t j = 0; j < taken.size(); ++j) {
    if (taken[j]) continue;
    stale_series_.insert(from.series_[j].begin(), from.series_[j].end());
  }
  for (const SeriesSet& kept : series_) {
    for (const model::Labels& labels : kept) stale_series_.erase(labels);
  }
  restores_ = from.restores_;
  first_evaluation_ms_ = from.first_evaluation_ms_;
  evaluations_ = from.evaluations_;
  const GroupStatus status = from.Status();
  base::MutexLock lock(mutex_);
  evaluation_ns_ = status.evaluation_ns;
  last_evaluation_ms_ = status.last_evaluation_ms;
}

GroupStatus Group::Status() const {
  GroupStatus status;
  status.name = spec_.name;
  status.file = file_;
  status.interval_ms = settings_.interval_ms;
  status.limit = spec_.limit;
  for (const auto& rule : rules_) status.rules.push_back(rule->Status());
  base::ReaderMutexLock lock(mutex_);
  status.evaluation_ns = evaluation_ns_;
  status.last_evaluation_ms = last_evaluation_ms_;
  return status;
}

}  // namespace narthex::rules
