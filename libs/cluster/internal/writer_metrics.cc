#include "libs/cluster/internal/writer_metrics.h"

namespace narthex::cluster::internal {

WriterMetrics::WriterMetrics(metrics::Registry& registry)
    : samples(registry.NewCounter("narthex_push_samples_total",
                                  "Samples that ingesters have taken.")),
      rejected(registry.NewCounterFamily(
          "narthex_push_rejected_samples_total",
          "Samples that ingesters refused, by reason.", {"reason"})),
      dropped(registry.NewCounterFamily(
          "narthex_push_dropped_samples_total",
          "Samples that were given up before an ingester took them, by reason: "
          "memory, disk_bytes or disk_age (the queue's bounds), "
          "disk_corrupted, "
          "stopped.",
          {"reason"})),
      spooled(registry.NewCounter("narthex_push_spooled_samples_total",
                                  "Samples written to the queue on disk.")),
      batches(registry.NewCounter("narthex_push_batches_total",
                                  "Messages of samples answered.")),
      streams_broken(registry.NewCounterFamily(
          "narthex_push_streams_broken_total",
          "Push streams that ended before their time.", {"ingester"})),
      queued(registry.NewGauge("narthex_push_queued_samples",
                               "Samples waiting in memory to be sent.")),
      disk_bytes(registry.NewGauge("narthex_push_queue_disk_bytes",
                                   "Size of the queues on disk.")),
      seconds(
          registry.NewHistogram("narthex_push_duration_seconds",
                                "Time from sending a message to its answer.",
                                metrics::ExponentialBuckets(0.0005, 2, 15))) {
  for (const char* reason :
       {"memory", "disk_bytes", "disk_age", "disk_corrupted", "stopped"}) {
    dropped.With({reason});
  }
}

}  // namespace narthex::cluster::internal
