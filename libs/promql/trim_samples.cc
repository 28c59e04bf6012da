#include "libs/promql/trim_samples.h"

#include <cstddef>
#include <memory>
#include <utility>

#include "libs/model/histogram_arithmetic.h"

namespace narthex::promql {

void DropStaleMarkers(model::SampleColumns* samples) {
  std::size_t kept = 0;
  while (kept < samples->size() && !model::IsStaleNan(samples->values[kept])) {
    ++kept;
  }
  for (std::size_t i = kept; i < samples->size(); ++i) {
    if (model::IsStaleNan(samples->values[i])) continue;
    samples->timestamps_ms[kept] = samples->timestamps_ms[i];
    samples->values[kept] = samples->values[i];
    if (!samples->histograms.empty()) {
      samples->histograms[kept] = std::move(samples->histograms[i]);
    }
    if (!samples->starts_ms.empty()) {
      samples->starts_ms[kept] = samples->starts_ms[i];
    }
    ++kept;
  }
  samples->timestamps_ms.resize(kept);
  samples->values.resize(kept);
  if (!samples->histograms.empty()) samples->histograms.resize(kept);
  if (!samples->starts_ms.empty()) samples->starts_ms.resize(kept);
}

void KeepCounts(model::SampleColumns* samples) {
  model::HistogramPtr previous;
  for (model::HistogramPtr& histogram : samples->histograms) {
    if (histogram == nullptr) continue;
    auto counts = std::make_shared<model::FloatHistogram>();
    counts->schema = histogram->schema;
    counts->count = histogram->count;
    counts->sum = histogram->sum;
    counts->counter_reset = histogram->counter_reset;
    if (histogram->counter_reset == model::CounterReset::kUnknown &&
        previous != nullptr) {
      counts->counter_reset = model::DetectReset(*previous, *histogram)
                                  ? model::CounterReset::kReset
                                  : model::CounterReset::kNotReset;
    }
    previous = std::exchange(histogram, std::move(counts));
  }
}

}  // namespace narthex::promql
