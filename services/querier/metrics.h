#pragma once

#include "libs/metrics/metrics.h"
#include "libs/promql/engine.h"

namespace narthex::querier {

/// What the querier counts.
struct Metrics {
  Metrics(metrics::Registry& registry, int max_concurrency);

  /// Takes the figures of a finished query.
  void Observe(const promql::QueryStats& stats);

  metrics::Gauge& queries;
  metrics::Counter& query_samples;
  metrics::Counter& query_samples_read;
  metrics::Counter& slow_queries;
  metrics::Histogram& queue_time;
  metrics::Histogram& prepare_time;
  metrics::Histogram& inner_eval;
  metrics::Histogram& result_sort;

  metrics::Counter& written_samples;
  metrics::Counter& invalid_label_samples;
  metrics::CounterFamily& rejected_samples;
  metrics::Counter& written_histograms;
  metrics::Counter& rejected_exemplars;
  metrics::Gauge& written_series_cached;
  metrics::Counter& federation_errors;
};

}  // namespace narthex::querier
