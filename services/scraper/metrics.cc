#include "services/scraper/metrics.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "libs/base/float_format.h"

namespace narthex::scraper {
namespace {

// As Go prints a duration: "1m30s", "500ms".
std::string GoDuration(std::int64_t ms) {
  if (ms < 1000) return absl::StrCat(ms, "ms");
  const std::int64_t hours = ms / 3'600'000;
  const std::int64_t minutes = ms / 60'000 % 60;
  std::string text;
  if (hours > 0) absl::StrAppend(&text, hours, "h");
  if (hours > 0 || minutes > 0) absl::StrAppend(&text, minutes, "m");
  absl::StrAppend(
      &text, base::FormatFloat(static_cast<double>(ms % 60'000) / 1000), "s");
  return text;
}

}  // namespace

Metrics::Metrics(metrics::Registry& registry)
    : pool_targets(
          registry.NewGaugeFamily("prometheus_target_scrape_pool_targets",
                                  "Targets in a scrape pool.", {"scrape_job"})),
      pool_target_limit(registry.NewGaugeFamily(
          "prometheus_target_scrape_pool_target_limit",
          "Targets allowed in a scrape pool.", {"scrape_job"})),
      pool_syncs(registry.NewCounterFamily(
          "prometheus_target_scrape_pool_sync_total",
          "Times a scrape pool took over discovered targets.", {"scrape_job"})),
      pools(registry.NewCounter("prometheus_target_scrape_pools_total",
                                "Scrape pools made.")),
      pools_failed(
          registry.NewCounter("prometheus_target_scrape_pools_failed_total",
                              "Scrape pools that could not be made.")),
      pool_reloads(
          registry.NewCounter("prometheus_target_scrape_pool_reloads_total",
                              "Scrape pools that took over a configuration.")),
      pool_reloads_failed(registry.NewCounter(
          "prometheus_target_scrape_pool_reloads_failed_total",
          "Scrape pools that could not take over a configuration.")),
      sync_failed(registry.NewCounterFamily(
          "prometheus_target_sync_failed_total",
          "Discovered targets that could not be used.", {"scrape_job"})),
      exceeded_target_limit(registry.NewCounter(
          "prometheus_target_scrape_pool_exceeded_target_limit_total",
          "Times a scrape pool had more targets than allowed.")),
      exceeded_sample_limit(registry.NewCounter(
          "prometheus_target_scrapes_exceeded_sample_limit_total",
          "Scrapes refused for too many samples.")),
      exceeded_series_soft_limit(registry.NewCounterFamily(
          "narthex_scraper_samples_over_series_soft_limit_total",
          "Samples refused: their series is new and the target's "
          "series_soft_limit or the pool_series_soft_limit is reached.",
          {"scrape_job"})),
      exceeded_label_limits(registry.NewCounter(
          "prometheus_target_scrape_pool_exceeded_label_limits_total",
          "Scrapes refused for too many or too long labels.")),
      exceeded_bucket_limit(registry.NewCounter(
          "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_"
          "total",
          "Scrapes refused for a native histogram with too many buckets.")),
      exemplar_out_of_order(registry.NewCounter(
          "prometheus_target_scrapes_exemplar_out_of_order_total",
          "Exemplars refused: all of their sample are older than the newest of "
          "their series.")),
      exemplars_refused(registry.NewCounter(
          "narthex_scraper_exemplars_refused_total",
          "Exemplars refused for other reasons than their order: labels that "
          "are too long, a series that an ingester does not know.")),
      exceeded_body_size_limit(registry.NewCounter(
          "prometheus_target_scrapes_exceeded_body_size_limit_total",
          "Scrapes refused for too large a body.")),
      duplicate_timestamp(registry.NewCounter(
          "prometheus_target_scrapes_sample_duplicate_timestamp_total",
          "Samples refused: another value has that timestamp.")),
      out_of_order(registry.NewCounter(
          "prometheus_target_scrapes_sample_out_of_order_total",
          "Samples refused: older than the newest of their series.")),
      out_of_bounds(registry.NewCounter(
          "prometheus_target_scrapes_sample_out_of_bounds_total",
          "Samples refused: too old or too far in the future.")),
      limit(registry.NewCounter(
          "narthex_scraper_samples_over_series_limit_total",
          "Samples refused: their series is new and the ingester's limit is "
          "reached.")),
      cache_flush_forced(registry.NewCounter(
          "prometheus_target_scrapes_cache_flush_forced_total",
          "Times a target's cache was emptied because its scrapes failed and "
          "it kept growing.")),
      scrapes(registry.NewCounter("narthex_scraper_scrapes_total",
                                  "Scrapes done.")),
      scrapes_failed(registry.NewCounter("narthex_scraper_scrapes_failed_total",
                                         "Scrapes that failed.")),
      scrapes_late(registry.NewCounter(
          "narthex_scraper_scrapes_late_total",
          "Scrapes put off because the one before was still running.")),
      lost_samples(
          registry.NewCounter("narthex_scraper_lost_samples_total",
                              "Scraped samples that no ingester took.")),
      lag_seconds(
          registry.NewHistogram("narthex_scraper_scrape_lag_seconds",
                                "How much later than planned scrapes began.",
                                metrics::ExponentialBuckets(0.001, 2, 14))),
      registry_(registry) {}

void Metrics::CountRefusal(storage::RejectReason reason, bool exposed) {
  switch (reason) {
    case storage::RejectReason::kOutOfOrder:
      if (exposed) out_of_order.Inc();
      break;
    case storage::RejectReason::kDuplicate:
      if (exposed) duplicate_timestamp.Inc();
      break;
    case storage::RejectReason::kOutOfBounds:
    case storage::RejectReason::kTooOld:
      out_of_bounds.Inc();
      break;
    case storage::RejectReason::kLimit:
      limit.Inc();
      break;
    case storage::RejectReason::kUnknownSeries:
    case storage::RejectReason::kInvalid:
      lost_samples.Inc();
      break;
  }
}

void Metrics::CountRefusedExemplars(
    const std::vector<storage::SeriesRef>& refs,
    const std::vector<storage::Rejection>& refused) {
  std::size_t end = 0;  // Of the sample's exemplars.
  std::size_t begin = 0;
  std::size_t late = 0;
  for (const storage::Rejection& one : refused) {
    if (one.reason != storage::RejectReason::kOutOfOrder) {
      exemplars_refused.Inc();
      continue;
    }
    if (one.index >= end) {
      begin = one.index;
      while (begin > end && refs[begin - 1] == refs[one.index]) --begin;
      end = one.index;
      while (end < refs.size() && refs[end] == refs[one.index]) ++end;
      late = 0;
    }
    if (++late == end - begin) {
      exemplar_out_of_order.Inc(static_cast<double>(late));
    }
  }
}

metrics::Summary& Metrics::IntervalLength(std::int64_t interval_ms) {
  return registry_.NewSummary("prometheus_target_interval_length_seconds",
                              "Actual intervals between scrapes.",
                              {0.01, 0.05, 0.5, 0.9, 0.99},
                              {{"interval", GoDuration(interval_ms)}});
}

metrics::Summary& Metrics::SyncLength(const std::string& job) {
  return registry_.NewSummary("prometheus_target_sync_length_seconds",
                              "Actual interval to sync the scrape pool.",
                              {0.01, 0.05, 0.5, 0.9, 0.99},
                              {{"scrape_job", job}});
}

MetadataSize Metrics::MetadataOf(const std::string& job) {
  const metrics::LabelPairs labels = {{"scrape_job", job}};
  return {registry_.NewGauge("prometheus_target_metadata_cache_entries",
                             "Total number of metric metadata entries in the "
                             "cache.",
                             labels),
          registry_.NewGauge("prometheus_target_metadata_cache_bytes",
                             "The number of bytes that are currently used for "
                             "storing metric metadata in the cache.",
                             labels)};
}

void Metrics::ObserveBodies(const http::BodyBudget& bodies) {
  registry_.NewGaugeFunction(
      "narthex_scraper_bodies_bytes",
      "Memory of the bodies under way that are larger than 256 KiB.",
      [&bodies] { return static_cast<double>(bodies.used_bytes()); });
  registry_.NewGaugeFunction(
      "narthex_scraper_bodies_limit_bytes",
      "What it may be at most (--scrape.max-bodies-memory); 0: no bound.",
      [&bodies] { return static_cast<double>(bodies.limit_bytes()); });
  registry_.NewCounterFunction(
      "narthex_scraper_bodies_refused_total",
      "Scrapes that failed because their body would have taken it over that.",
      [&bodies] { return static_cast<double>(bodies.refused()); });
}

}  // namespace narthex::scraper
