#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libs/http/body_budget.h"
#include "libs/metrics/metrics.h"
#include "libs/storage/storage.h"

namespace narthex::scraper {

/// How much metadata the targets of a job have told.
struct MetadataSize {
  metrics::Gauge& entries;
  metrics::Gauge& bytes;
};

/// What a scraper counts, under Prometheus's names where it has them.
struct Metrics {
  explicit Metrics(metrics::Registry& registry);

  metrics::GaugeFamily& pool_targets;       ///< By scrape_job.
  metrics::GaugeFamily& pool_target_limit;  ///< By scrape_job.
  metrics::CounterFamily& pool_syncs;       ///< By scrape_job.
  metrics::Counter& pools;
  metrics::Counter& pools_failed;
  metrics::Counter& pool_reloads;
  metrics::Counter& pool_reloads_failed;
  metrics::CounterFamily& sync_failed;  ///< By scrape_job.
  metrics::Counter& exceeded_target_limit;
  metrics::Counter& exceeded_sample_limit;
  metrics::CounterFamily& exceeded_series_soft_limit;  ///< By scrape_job.
  metrics::Counter& exceeded_label_limits;
  metrics::Counter& exceeded_bucket_limit;
  metrics::Counter& exemplar_out_of_order;
  metrics::Counter& exemplars_refused;
  metrics::Counter& exceeded_body_size_limit;
  metrics::Counter& duplicate_timestamp;
  metrics::Counter& out_of_order;
  metrics::Counter& out_of_bounds;
  metrics::Counter& limit;
  metrics::Counter& cache_flush_forced;
  metrics::Counter& scrapes;
  metrics::Counter& scrapes_failed;
  metrics::Counter& scrapes_late;
  metrics::Counter& lost_samples;
  metrics::Histogram& lag_seconds;

  /// Counts a sample that an ingester refused. One that the target did not
  /// expose, a marker or a report, meets newer or other samples by right.
  void CountRefusal(storage::RejectReason reason, bool exposed);

  /// Counts refused exemplars. `refs` are the series of all, those of one
  /// sample in a row; `refused` ascends. A target exposes the latest exemplars
  /// of a sample again and again, so those out of order count only when all of
  /// the sample are.
  void CountRefusedExemplars(const std::vector<storage::SeriesRef>& refs,
                             const std::vector<storage::Rejection>& refused);

  /// Actual intervals between scrapes of targets with this interval.
  metrics::Summary& IntervalLength(std::int64_t interval_ms);
  /// How long a pool took to take over discovered targets.
  metrics::Summary& SyncLength(const std::string& job);
  MetadataSize MetadataOf(const std::string& job);
  /// Shows what bodies take; `bodies` must outlive the registry's last use.
  void ObserveBodies(const http::BodyBudget& bodies);

 private:
  metrics::Registry& registry_;
};

}  // namespace narthex::scraper
