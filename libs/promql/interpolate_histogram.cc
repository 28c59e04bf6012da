#include "libs/promql/interpolate_histogram.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "libs/model/histogram_arithmetic.h"

namespace narthex::promql {
namespace {

/// The samples one step of a smoothed selector sees.
struct Seen {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t next = 0;  // The first not before the time.

  bool has_previous() const { return next > begin; }
  bool has_next() const { return next < end; }
};

Seen Look(const std::vector<std::int64_t>& times, std::int64_t time_ms,
          std::int64_t lookback_ms) {
  const auto position = [&](auto it) {
    return static_cast<std::size_t>(it - times.begin());
  };
  Seen seen;
  seen.begin = position(
      std::upper_bound(times.begin(), times.end(), time_ms - lookback_ms));
  seen.end = position(
      std::upper_bound(times.begin(), times.end(), time_ms + lookback_ms));
  seen.next = position(std::lower_bound(times.begin(), times.end(), time_ms));
  seen.next = std::clamp(seen.next, seen.begin, seen.end);
  return seen;
}

bool IsGauge(const model::FloatHistogram& histogram) {
  return histogram.counter_reset == model::CounterReset::kGauge;
}

double SmoothedFloat(const model::SampleColumns& samples, const Seen& seen,
                     std::int64_t time_ms) {
  const auto& times = samples.timestamps_ms;
  if (seen.has_next() && times[seen.next] == time_ms) {
    return samples.values[seen.next];
  }
  if (!seen.has_previous()) return Absent();
  const double before = samples.values[seen.next - 1];
  if (!seen.has_next()) return before;
  return before +
         (samples.values[seen.next] - before) *
             static_cast<double>(time_ms - times[seen.next - 1]) /
             static_cast<double>(times[seen.next] - times[seen.next - 1]);
}

model::HistogramPtr SmoothedHistogram(const model::SampleColumns& samples,
                                      const Seen& seen, std::int64_t time_ms,
                                      PositionRange position,
                                      absl::string_view metric_name,
                                      Annotations* annotations) {
  const auto& times = samples.timestamps_ms;
  if (seen.has_next() && times[seen.next] == time_ms) {
    return samples.histograms[seen.next];
  }
  if (!seen.has_previous()) return nullptr;
  const HistogramPoint before{times[seen.next - 1],
                              samples.histograms[seen.next - 1]};
  if (!seen.has_next()) {
    auto held = std::make_shared<model::FloatHistogram>(*before.histogram);
    held->counter_reset = model::CounterReset::kUnknown;
    return held;
  }
  const HistogramPoint after{times[seen.next], samples.histograms[seen.next]};
  const bool is_counter =
      !IsGauge(*before.histogram) || !IsGauge(*after.histogram);
  model::HistogramPtr between = InterpolateHistogram(
      before, after, time_ms, is_counter, position, annotations);
  if (between == nullptr) annotations->MixedSchemas(metric_name, position);
  return between;
}

}  // namespace

model::HistogramPtr InterpolateHistogram(const HistogramPoint& before,
                                         const HistogramPoint& after,
                                         std::int64_t time_ms, bool is_counter,
                                         PositionRange position,
                                         Annotations* annotations) {
  if (time_ms == before.time_ms) return before.histogram;
  if (time_ms == after.time_ms) return after.histogram;
  if (before.histogram->has_custom_bounds() !=
      after.histogram->has_custom_bounds()) {
    return nullptr;
  }
  const double share = static_cast<double>(time_ms - before.time_ms) /
                       static_cast<double>(after.time_ms - before.time_ms);
  auto result = std::make_shared<model::FloatHistogram>(*after.histogram);
  if (is_counter && model::DetectReset(*before.histogram, *after.histogram)) {
    model::Multiply(share, result.get());
    return result;
  }
  if (model::Subtract(*before.histogram, result.get()).bounds_reconciled) {
    annotations->BoundsReconciled("subtraction", position);
  }
  model::Multiply(share, result.get());
  if (model::Add(*before.histogram, result.get()).bounds_reconciled) {
    annotations->BoundsReconciled("addition", position);
  }
  return result;
}

void TakeSmoothedHistograms(const model::SampleColumns& samples,
                            const SmoothedLook& look,
                            absl::string_view metric_name,
                            Annotations* annotations, Column* out) {
  std::int64_t time_ms = look.first_ms;
  for (std::size_t i = 0; i < out->values.size();
       ++i, time_ms += look.step_ms) {
    out->values[i] = Absent();
    const Seen seen = Look(samples.timestamps_ms, time_ms, look.lookback_ms);
    if (seen.begin == seen.end) continue;
    const auto histograms = static_cast<std::size_t>(std::count_if(
        samples.histograms.begin() + static_cast<std::ptrdiff_t>(seen.begin),
        samples.histograms.begin() + static_cast<std::ptrdiff_t>(seen.end),
        [](const auto& h) { return h != nullptr; }));
    if (histograms == 0) {
      out->values[i] = SmoothedFloat(samples, seen, time_ms);
    } else if (histograms < seen.end - seen.begin) {
      annotations->MixedFloatsHistograms(metric_name, look.position);
    } else if (auto histogram =
                   SmoothedHistogram(samples, seen, time_ms, look.position,
                                     metric_name, annotations);
               histogram != nullptr) {
      out->SetHistogram(i, std::move(histogram));
    }
  }
}

}  // namespace narthex::promql
