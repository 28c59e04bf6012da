#include "services/ingester/metrics.h"

namespace narthex::ingester {

Metrics::Metrics(metrics::Registry& registry)
    : push_streams(registry.NewGauge("narthex_ingester_push_streams",
                                     "Writers connected.")),
      pushed_samples(
          registry.NewCounter("narthex_ingester_pushed_samples_total",
                              "Samples received from writers.")),
      rejected_samples(
          registry.NewCounterFamily("narthex_ingester_rejected_samples_total",
                                    "Samples refused, by reason.", {"reason"})),
      resent_samples(registry.NewCounter(
          "narthex_ingester_resent_samples_total",
          "Samples sent again after a stream broke that were stored already.")),
      failed_batches(
          registry.NewCounter("narthex_ingester_failed_batches_total",
                              "Batches of which nothing could be stored.")),
      selected_series(
          registry.NewCounter("narthex_ingester_selected_series_total",
                              "Series sent to queriers.")),
      selects(registry.NewCounter("narthex_ingester_selects_total",
                                  "Selections answered.")),
      fragments(registry.NewCounter("narthex_ingester_fragments_total",
                                    "Fragments of queries evaluated.")),
      fragment_samples(registry.NewCounter(
          "narthex_ingester_fragment_samples_read_total",
          "Samples read from the database to evaluate fragments.")),
      running_fragments(
          registry.NewGauge("narthex_ingester_running_fragments",
                            "Fragments of queries being evaluated.")) {}

}  // namespace narthex::ingester
