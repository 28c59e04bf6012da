#pragma once

#include "libs/metrics/metrics.h"

namespace narthex::ingester {

/// What an ingester counts besides what its database does.
struct Metrics {
  explicit Metrics(metrics::Registry& registry);

  metrics::Gauge& push_streams;
  metrics::Counter& pushed_samples;
  metrics::CounterFamily& rejected_samples;  ///< By reason.
  /// Samples of a batch sent again that were stored the first time.
  metrics::Counter& resent_samples;
  metrics::Counter& failed_batches;
  metrics::Counter& selected_series;
  metrics::Counter& selects;
  metrics::Counter& fragments;
  metrics::Counter& fragment_samples;
  metrics::Gauge& running_fragments;
};

}  // namespace narthex::ingester
