#include "libs/promql/engine_metrics.h"

namespace narthex::promql {
namespace {

double Seconds(std::int64_t ns) { return static_cast<double>(ns) / 1e9; }

}  // namespace

EngineMetrics::EngineMetrics(metrics::Registry& registry,
                             const EngineOptions& options)
    : queries_(registry.NewGauge("prometheus_engine_queries",
                                 "Queries being evaluated or waiting.")),
      samples_(registry.NewCounter(
          "prometheus_engine_query_samples_total",
          "Samples seen by all queries, once for each step that saw them.")),
      samples_read_(registry.NewCounter(
          "prometheus_engine_query_samples_read_total",
          "Samples that all queries have taken from storage.")),
      durations_(registry.NewHistogramFamily(
          "prometheus_engine_query_duration_histogram_seconds",
          "Duration of the parts of a query's evaluation.", {"slice"},
          {0.01, 0.1, 1, 10})),
      queue_time_(durations_.With({"queue_time"})),
      prepare_time_(durations_.With({"prepare_time"})),
      inner_eval_(durations_.With({"inner_eval"})),
      result_sort_(durations_.With({"result_sort"})) {
  registry
      .NewGauge("prometheus_engine_queries_concurrent_max",
                "Most queries evaluated at a time.")
      .Set(options.max_concurrency);
}

void EngineMetrics::Record(const QueryStats& stats) {
  samples_.Inc(static_cast<double>(stats.total_samples));
  samples_read_.Inc(static_cast<double>(stats.samples_read));
  queue_time_.Observe(Seconds(stats.queue_ns));
  prepare_time_.Observe(Seconds(stats.prepare_ns));
  inner_eval_.Observe(Seconds(stats.eval_ns));
  result_sort_.Observe(Seconds(stats.sort_ns));
}

}  // namespace narthex::promql
