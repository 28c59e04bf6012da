#pragma once

#include <string>

#include "libs/metrics/metrics.h"

namespace narthex::rules {

/// The metrics of all rule groups, under Prometheus's names. The label
/// rule_group is "file;group".
struct Metrics {
  explicit Metrics(metrics::Registry& registry);

  metrics::Histogram& evaluation_seconds;
  metrics::Histogram& group_seconds;
  metrics::CounterFamily& evaluations;
  metrics::CounterFamily& evaluation_failures;
  metrics::CounterFamily& iterations;
  metrics::CounterFamily& iterations_missed;
  metrics::GaugeFamily& interval_seconds;
  metrics::GaugeFamily& last_evaluation_timestamp;
  metrics::GaugeFamily& last_duration_seconds;
  metrics::GaugeFamily& last_rule_duration_sum_seconds;
  metrics::GaugeFamily& last_restore_duration_seconds;
  metrics::GaugeFamily& rules;
  metrics::GaugeFamily& last_samples;

  /// Removes the series of a group that is gone.
  void Forget(const std::string& group_key);
};

/// The series of one group.
struct GroupMetrics {
  GroupMetrics(Metrics& all, const std::string& group_key);

  metrics::Histogram& evaluation_seconds;
  metrics::Histogram& group_seconds;
  metrics::Counter& evaluations;
  metrics::Counter& evaluation_failures;
  metrics::Counter& iterations;
  metrics::Counter& iterations_missed;
  metrics::Gauge& interval_seconds;
  metrics::Gauge& last_evaluation_timestamp;
  metrics::Gauge& last_duration_seconds;
  metrics::Gauge& last_rule_duration_sum_seconds;
  metrics::Gauge& last_restore_duration_seconds;
  metrics::Gauge& rules;
  metrics::Gauge& last_samples;
};

}  // namespace narthex::rules
