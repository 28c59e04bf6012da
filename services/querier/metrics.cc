#include "services/querier/metrics.h"

namespace narthex::querier {

Metrics::Slice::Slice(metrics::Registry& registry, const std::string& name)
    : quantiles(registry.NewSummary("prometheus_engine_query_duration_seconds",
                                    "Query timings.", {0.5, 0.9, 0.99},
                                    {{"slice", name}})),
      buckets(registry.NewHistogram(
          "prometheus_engine_query_duration_histogram_seconds",
          "Duration of the various query execution phases.",
          {.01, .1, 1, 2, 5, 10, 60, 120}, {{"slice", name}})) {}

void Metrics::Slice::Observe(std::int64_t duration_ns) {
  const double seconds = static_cast<double>(duration_ns) / 1e9;
  quantiles.Observe(seconds);
  buckets.Observe(seconds);
}

Metrics::Metrics(metrics::Registry& registry, int max_concurrency)
    : queries(registry.NewGauge(
          "prometheus_engine_queries",
          "The current number of queries being executed or waiting.")),
      query_samples(registry.NewCounter(
          "prometheus_engine_query_samples_total",
          "The total number of samples loaded by all queries.")),
      query_samples_read(registry.NewCounter(
          "prometheus_engine_query_samples_read_total",
          "The total number of samples read from storage by all queries.")),
      slow_queries(registry.NewCounter(
          "narthex_querier_slow_queries_total",
          "Queries that took longer than --query.log-slower-than.")),
      inner_eval(registry, "inner_eval"),
      prepare_time(registry, "prepare_time"),
      queue_time(registry, "queue_time"),
      result_sort(registry, "result_sort"),
      written_samples(registry.NewCounter(
          "narthex_remote_write_samples_total",
          "Samples received by remote write and handed to ingesters.")),
      invalid_label_samples(registry.NewCounter(
          "prometheus_api_remote_write_invalid_labels_samples_total",
          "Samples received by remote write and dropped for the labels of "
          "their series.")),
      rejected_samples(registry.NewCounterFamily(
          "narthex_remote_write_rejected_samples_total",
          "Samples received by remote write that were not taken, by reason.",
          {"reason"})),
      written_histograms(registry.NewCounter(
          "narthex_remote_write_histograms_total",
          "Native histograms received by remote write and handed to "
          "ingesters.")),
      rejected_exemplars(registry.NewCounter(
          "narthex_remote_write_rejected_exemplars_total",
          "Exemplars received by remote write that were not taken.")),
      written_series_cached(registry.NewGauge(
          "narthex_remote_write_cached_series",
          "Series that remote write knows by their label bytes.")),
      federation_errors(registry.NewCounter(
          "prometheus_web_federation_errors_total",
          "Total number of errors that occurred while sending federation "
          "responses.")) {
  registry
      .NewGauge("prometheus_engine_queries_concurrent_max",
                "The max number of concurrent queries.")
      .Set(max_concurrency);
}

void Metrics::Observe(const promql::QueryStats& stats) {
  query_samples.Inc(static_cast<double>(stats.total_samples));
  query_samples_read.Inc(static_cast<double>(stats.samples_read));
  queue_time.Observe(stats.queue_ns);
  prepare_time.Observe(stats.prepare_ns);
  inner_eval.Observe(stats.eval_ns);
  result_sort.Observe(stats.sort_ns);
}

}  // namespace narthex::querier
