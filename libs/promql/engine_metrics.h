#pragma once

#include "libs/metrics/metrics.h"
#include "libs/promql/engine.h"

namespace narthex::promql {

/// The metrics of an engine, under Prometheus's names.
class EngineMetrics {
 public:
  /// `registry` outlives this.
  EngineMetrics(metrics::Registry& registry, const EngineOptions& options);

  void QueryBegan() { queries_.Add(1); }
  void QueryEnded() { queries_.Add(-1); }
  /// Counts the work of a query that has given a result.
  void Record(const QueryStats& stats);

 private:
  metrics::Gauge& queries_;
  metrics::Counter& samples_;
  metrics::Counter& samples_read_;
  metrics::HistogramFamily& durations_;
  metrics::Histogram& queue_time_;
  metrics::Histogram& prepare_time_;
  metrics::Histogram& inner_eval_;
  metrics::Histogram& result_sort_;
};

}  // namespace narthex::promql
