#pragma once

#include "libs/metrics/metrics.h"

namespace narthex::cluster::internal {

/// What a Writer counts.
struct WriterMetrics {
  explicit WriterMetrics(metrics::Registry& registry);

  metrics::Counter& samples;
  metrics::CounterFamily& rejected;  ///< By reason.
  metrics::CounterFamily& dropped;   ///< By reason.
  metrics::Counter& spooled;
  metrics::Counter& batches;
  metrics::CounterFamily& streams_broken;  ///< By ingester.
  metrics::Gauge& queued;
  metrics::Gauge& disk_bytes;
  metrics::Histogram& seconds;
};

}  // namespace narthex::cluster::internal
