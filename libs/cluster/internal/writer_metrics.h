#pragma once

#include "libs/metrics/metrics.h"

namespace narthex::cluster::internal {

/// What a Writer counts.
struct WriterMetrics {
  explicit WriterMetrics(metrics::Registry& registry);

  metrics::Counter& samples;
  metrics::CounterFamily& rejected;  ///< By reason.
  metrics::Counter& dropped;
  metrics::Counter& batches;
  metrics::CounterFamily& streams_broken;  ///< By ingester.
  metrics::Gauge& queued;
  metrics::Histogram& seconds;
};

}  // namespace narthex::cluster::internal
