#include "libs/rules/metrics.h"

namespace narthex::rules {
namespace {

const std::vector<std::string>& GroupLabel() {
  static const std::vector<std::string> label = {"rule_group"};
  return label;
}

}  // namespace

Metrics::Metrics(metrics::Registry& registry)
    : evaluation_seconds(registry.NewHistogram(
          "prometheus_rule_evaluation_duration_seconds",
          "How long a rule takes.", metrics::DefaultBuckets())),
      group_seconds(registry.NewHistogram(
          "prometheus_rule_group_duration_seconds",
          "How long a rule group takes.", metrics::DefaultBuckets())),
      evaluations(registry.NewCounterFamily("prometheus_rule_evaluations_total",
                                            "Evaluations of rules.",
                                            GroupLabel())),
      evaluation_failures(registry.NewCounterFamily(
          "prometheus_rule_evaluation_failures_total",
          "Evaluations of rules that failed.", GroupLabel())),
      iterations(registry.NewCounterFamily(
          "prometheus_rule_group_iterations_total",
          "Evaluations of a group that were due, done or missed.",
          GroupLabel())),
      iterations_missed(registry.NewCounterFamily(
          "prometheus_rule_group_iterations_missed_total",
          "Evaluations of a group that were left out because an earlier one "
          "took too long.",
          GroupLabel())),
      interval_seconds(
          registry.NewGaugeFamily("prometheus_rule_group_interval_seconds",
                                  "Interval of a group.", GroupLabel())),
      last_evaluation_timestamp(registry.NewGaugeFamily(
          "prometheus_rule_group_last_evaluation_timestamp_seconds",
          "Unix time of a group's last evaluation.", GroupLabel())),
      last_duration_seconds(registry.NewGaugeFamily(
          "prometheus_rule_group_last_duration_seconds",
          "How long a group's last evaluation took.", GroupLabel())),
      last_rule_duration_sum_seconds(registry.NewGaugeFamily(
          "prometheus_rule_group_last_rule_duration_sum_seconds",
          "How long the rules of a group's last evaluation took together.",
          GroupLabel())),
      last_restore_duration_seconds(registry.NewGaugeFamily(
          "prometheus_rule_group_last_restore_duration_seconds",
          "How long it took to restore the alerts of a group.", GroupLabel())),
      rules(registry.NewGaugeFamily("prometheus_rule_group_rules",
                                    "Rules of a group.", GroupLabel())),
      last_samples(registry.NewGaugeFamily(
          "prometheus_rule_group_last_evaluation_samples",
          "Samples that a group's last evaluation gave.", GroupLabel())) {}

void Metrics::Forget(const std::string& group_key) {
  for (auto* family :
       {&evaluations, &evaluation_failures, &iterations, &iterations_missed}) {
    family->Remove({group_key});
  }
  for (auto* family : {&interval_seconds, &last_evaluation_timestamp,
                       &last_duration_seconds, &last_rule_duration_sum_seconds,
                       &last_restore_duration_seconds, &rules, &last_samples}) {
    family->Remove({group_key});
  }
}

GroupMetrics::GroupMetrics(Metrics& all, const std::string& group_key)
    : evaluation_seconds(all.evaluation_seconds),
      group_seconds(all.group_seconds),
      evaluations(all.evaluations.With({group_key})),
      evaluation_failures(all.evaluation_failures.With({group_key})),
      iterations(all.iterations.With({group_key})),
      iterations_missed(all.iterations_missed.With({group_key})),
      interval_seconds(all.interval_seconds.With({group_key})),
      last_evaluation_timestamp(
          all.last_evaluation_timestamp.With({group_key})),
      last_duration_seconds(all.last_duration_seconds.With({group_key})),
      last_rule_duration_sum_seconds(
          all.last_rule_duration_sum_seconds.With({group_key})),
      last_restore_duration_seconds(
          all.last_restore_duration_seconds.With({group_key})),
      rules(all.rules.With({group_key})),
      last_samples(all.last_samples.With({group_key})) {}

}  // namespace narthex::rules
