#include "libs/cluster/internal/writer_metrics.h"

namespace narthex::cluster::internal {

WriterMetrics::WriterMetrics(metrics::Registry& registry)
    : samples(registry.NewCounter("narthex_push_samples_total",
                                  "Samples that ingesters have taken.")),
      rejected(registry.NewCounterFamily(
          "narthex_push_rejected_samples_total",
          "Samples that ingesters refused, by reason.", {"reason"})),
      dropped(registry.NewCounter(
          "narthex_push_dropped_samples_total",
          "Samples dropped because too many were waiting for an ingester or "
          "the process stopped.")),
      batches(registry.NewCounter("narthex_push_batches_total",
                                  "Messages of samples answered.")),
      streams_broken(registry.NewCounterFamily(
          "narthex_push_streams_broken_total",
          "Push streams that ended before their time.", {"ingester"})),
      queued(registry.NewGauge("narthex_push_queued_samples",
                               "Samples waiting to be sent.")),
      seconds(
          registry.NewHistogram("narthex_push_duration_seconds",
                                "Time from sending a message to its answer.",
                                metrics::ExponentialBuckets(0.0005, 2, 15))) {}

}  // namespace narthex::cluster::internal
