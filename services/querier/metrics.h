#pragma once

#include <cstdint>
#include <string>

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
  /// One phase of queries, for dashboards of Prometheus of any age.
  struct Slice {
    Slice(metrics::Registry& registry, const std::string& name);
    void Observe(std::int64_t duration_ns);

    metrics::Summary& quantiles;
    metrics::Histogram& buckets;
  };
  Slice inner_eval;
  Slice prepare_time;
  Slice queue_time;
  Slice result_sort;

  metrics::Counter& written_samples;
  metrics::Counter& invalid_label_samples;
  metrics::CounterFamily& rejected_samples;
  metrics::Counter& written_histograms;
  metrics::Counter& rejected_exemplars;
  metrics::Gauge& written_series_cached;
  metrics::Counter& federation_errors;
};

}  // namespace narthex::querier
