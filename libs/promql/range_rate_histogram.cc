#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "libs/model/histogram_arithmetic.h"
#include "libs/promql/interpolate_histogram.h"
#include "libs/promql/range_histograms.h"

namespace narthex::promql {
namespace {

using model::FloatHistogram;

bool IsGauge(const FloatHistogram& histogram) {
  return histogram.counter_reset == model::CounterReset::kGauge;
}

void WarnOfGauge(const RangeContext& context) {
  context.annotations->HistogramNotCounter(context.metric_name,
                                           context.position);
}

void WarnOfCounter(const RangeContext& context) {
  context.annotations->HistogramNotGauge(context.metric_name, context.position);
}

bool RefuseMixedSchemas(const RangeContext& context) {
  context.annotations->MixedSchemas(context.metric_name, context.position);
  return false;
}

bool CheckOutcome(const model::MergeOutcome& outcome, const char* operation,
                  const RangeContext& context) {
  if (outcome.incompatible) return RefuseMixedSchemas(context);
  if (outcome.bounds_reconciled) {
    context.annotations->BoundsReconciled(operation, context.position);
  }
  return true;
}

/// Whether the counter began anew with the sample at `i`, which is not the
/// first; `previous` is what it had before.
bool BeganAnew(const HistogramWindow& window, std::size_t i,
               const FloatHistogram& previous) {
  return (window.starts != nullptr &&
          IsStartReset(window.starts[i - 1], window.times[i - 1],
                       window.starts[i], window.times[i])) ||
         model::DetectReset(previous, *window.values[i]);
}

/// The lowest resolution of the histograms between the first and the last,
/// given that of these two. False when some have custom bounds and others not.
bool CheckBetween(const HistogramWindow& window, bool custom,
                  const RangeContext& context, std::int32_t* schema) {
  for (std::size_t i = 1; i + 1 < window.size; ++i) {
    const FloatHistogram& histogram = *window.values[i];
    if (IsGauge(histogram)) WarnOfGauge(context);
    *schema = std::min(*schema, histogram.schema);
    if (histogram.has_custom_bounds() != custom) {
      return RefuseMixedSchemas(context);
    }
  }
  return true;
}

/// By how much the histograms of a window of at least two have grown; null
/// after a warning when that cannot be told.
std::shared_ptr<FloatHistogram> Increase(const HistogramWindow& window,
                                         const RangeContext& context) {
  const FloatHistogram& first = *window.values[0];
  const FloatHistogram& second = *window.values[1];
  const FloatHistogram& last = *window.values[window.size - 1];
  if (IsGauge(first) || IsGauge(last)) WarnOfGauge(context);
  // Behind a reset the first histogram does not matter, nor does its layout.
  FloatHistogram nothing;
  nothing.schema = second.schema;
  nothing.custom_bounds = second.custom_bounds;
  const bool restarts = BeganAnew(window, 1, first);
  const FloatHistogram* previous = restarts ? &nothing : &first;
  const bool custom = previous->has_custom_bounds();
  if (last.has_custom_bounds() != custom) {
    RefuseMixedSchemas(context);
    return nullptr;
  }
  std::int32_t schema = std::min(last.schema, previous->schema);
  if (!CheckBetween(window, custom, context, &schema)) return nullptr;
  auto change = std::make_shared<FloatHistogram>(last);
  model::ReduceResolution(schema, change.get());
  if (!SubtractAnnotated(*previous, context, change.get())) return nullptr;
  bool overlaps = false;
  for (std::size_t i = 1; i < window.size; ++i) {
    overlaps |= window.starts != nullptr &&
                IsStartOverlap(window.starts[i - 1], window.times[i - 1],
                               window.starts[i]);
    if (BeganAnew(window, i, *previous) &&
        !AddAnnotated(*previous, context, change.get())) {
      return nullptr;
    }
    previous = window.values[i].get();
  }
  if (overlaps) {
    context.annotations->StartTimeOverlap(context.metric_name,
                                          context.position);
  }
  return change;
}

/// delta(): the last histogram less the first.
std::shared_ptr<FloatHistogram> Difference(const HistogramWindow& window,
                                           const RangeContext& context) {
  const FloatHistogram& first = *window.values[0];
  const FloatHistogram& last = *window.values[window.size - 1];
  auto change = std::make_shared<FloatHistogram>(last);
  if (!SubtractAnnotated(first, context, change.get())) return nullptr;
  if (!IsGauge(first) || !IsGauge(last)) WarnOfCounter(context);
  return change;
}

/// What resets within an extended range have taken from the change; to be added
/// to `*change`.
bool AddInnerResets(const HistogramWindow& window, const EdgePositions& edges,
                    const FloatHistogram& left, const FloatHistogram& right,
                    const MixedWindow& mixed, const RangeContext& context,
                    FloatHistogram* change) {
  std::size_t begin = edges.first + 1;
  const FloatHistogram* previous = &left;
  if (context.geometry.smoothed &&
      window.times[edges.first] < mixed.floats.start_ms &&
      model::DetectReset(*window.values[edges.first], *window.values[begin])) {
    // The interpolated left edge belongs to the counter behind the reset.
    previous = window.values[begin++].get();
  }
  if (begin > edges.last) return true;
  const auto add_if_reset = [&](const FloatHistogram& current) {
    return !model::DetectReset(*previous, current) ||
           AddAnnotated(*previous, context, change);
  };
  for (std::size_t i = begin; i < edges.last; ++i) {
    if (!add_if_reset(*window.values[i])) return false;
    previous = window.values[i].get();
  }
  return add_if_reset(right);
}

/// All of one kind of schema; warns of gauges where a counter is wanted.
bool CheckExtended(const HistogramWindow& window, const EdgePositions& edges,
                   bool is_counter, const RangeContext& context) {
  const bool custom = window.values[edges.first]->has_custom_bounds();
  for (std::size_t i = edges.first; i <= edges.last; ++i) {
    if (window.values[i]->has_custom_bounds() != custom) {
      return RefuseMixedSchemas(context);
    }
    if (is_counter && IsGauge(*window.values[i])) WarnOfGauge(context);
  }
  return true;
}

/// The histogram at an edge of an extended range: that of sample `at`, or under
/// `smoothed` between the samples `from` and the next.
model::HistogramPtr Edge(const HistogramWindow& window, std::size_t at,
                         std::size_t from, bool interpolate,
                         std::int64_t time_ms, bool is_counter,
                         const RangeContext& context) {
  if (!interpolate) return window.values[at];
  const HistogramPoint before{window.times[from], window.values[from]};
  const HistogramPoint after{window.times[from + 1], window.values[from + 1]};
  model::HistogramPtr edge =
      InterpolateHistogram(before, after, time_ms, is_counter, context.position,
                           context.annotations);
  if (edge == nullptr) RefuseMixedSchemas(context);
  return edge;
}

WindowResult Gauge(std::shared_ptr<FloatHistogram> histogram) {
  histogram->counter_reset = model::CounterReset::kGauge;
  return {Absent(), std::move(histogram)};
}

/// A sample of either kind.
struct AnySample {
  std::int64_t time_ms = 0;
  std::int64_t start_ms = 0;
  double value = 0;
  const FloatHistogram* histogram = nullptr;
};

/// The `back`-th sample from the end: the newest of both kinds is 0. `floats`
/// and `histograms` are how many of each have been taken.
AnySample TakeNewest(const MixedWindow& window, std::size_t* floats,
                     std::size_t* histograms) {
  const RangeWindow& f = window.floats;
  const HistogramWindow& h = window.histograms;
  const bool has_float = *floats < f.size;
  const bool has_histogram = *histograms < h.size;
  const std::size_t fi = has_float ? f.size - 1 - *floats : 0;
  const std::size_t hi = has_histogram ? h.size - 1 - *histograms : 0;
  if (!has_histogram || (has_float && f.times[fi] > h.times[hi])) {
    ++*floats;
    return {f.times[fi], f.starts == nullptr ? 0 : f.starts[fi], f.values[fi],
            nullptr};
  }
  ++*histograms;
  return {h.times[hi], h.starts == nullptr ? 0 : h.starts[hi], 0,
          h.values[hi].get()};
}

}  // namespace

bool AddAnnotated(const FloatHistogram& other, const RangeContext& context,
                  FloatHistogram* histogram) {
  return CheckOutcome(model::Add(other, histogram), "addition", context);
}

bool SubtractAnnotated(const FloatHistogram& other, const RangeContext& context,
                       FloatHistogram* histogram) {
  return CheckOutcome(model::Subtract(other, histogram), "subtraction",
                      context);
}

WindowResult HistogramRateOf(RateKind kind, const MixedWindow& mixed,
                             RangeContext& context) {
  const HistogramWindow& window = mixed.histograms;
  const bool is_counter = kind != RateKind::kDelta;
  const Coverage coverage{window.times[0], window.times[window.size - 1],
                          window.size, mixed.floats.start_ms,
                          mixed.floats.end_ms};
  const bool began_within = is_counter && window.starts != nullptr &&
                            BeganWithin(coverage, window.starts[0]);
  std::shared_ptr<FloatHistogram> change;
  if (window.size > 1) {
    change =
        is_counter ? Increase(window, context) : Difference(window, context);
    if (change == nullptr) return {};
    change->counter_reset = model::CounterReset::kGauge;
    model::Compact(change.get());
  } else if (!began_within) {
    return {};
  }
  double factor = 0;
  if (began_within) {
    if (change == nullptr) {
      change = std::make_shared<FloatHistogram>(*window.values[0]);
    } else if (!AddAnnotated(*window.values[0], context, change.get())) {
      return {};
    }
    factor = FactorSinceStart(coverage, window.starts[0]);
  } else {
    factor = ExtrapolationFactor(coverage, is_counter, window.values[0]->count,
                                 change->count);
  }
  if (kind == RateKind::kRate) {
    factor /= static_cast<double>(context.geometry.range_ms) / 1000;
  }
  model::Multiply(factor, change.get());
  return {Absent(), std::move(change)};
}

WindowResult ExtendedHistogramRate(RateKind kind, const MixedWindow& mixed,
                                   RangeContext& context) {
  const HistogramWindow& window = mixed.histograms;
  const bool smoothed = context.geometry.smoothed;
  const bool is_counter = kind != RateKind::kDelta;
  const std::int64_t start_ms = mixed.floats.start_ms;
  const std::int64_t end_ms = mixed.floats.end_ms;
  const EdgePositions edges =
      EdgePositionsOf(window.times, window.size, start_ms, end_ms, smoothed);
  if (window.times[edges.last] <= start_ms) return {};
  if (smoothed && window.times[edges.first] > end_ms) return {};
  if (!CheckExtended(window, edges, is_counter, context)) return {};
  const model::HistogramPtr left =
      Edge(window, edges.first, edges.first,
           smoothed && window.times[edges.first] < start_ms, start_ms,
           is_counter, context);
  if (left == nullptr) return {};
  const model::HistogramPtr right =
      Edge(window, edges.last, edges.last - (edges.last > 0 ? 1 : 0),
           smoothed && edges.last > 0 && window.times[edges.last] > end_ms,
           end_ms, is_counter, context);
  if (right == nullptr) return {};
  if (!is_counter && (!IsGauge(*left) || !IsGauge(*right))) {
    WarnOfCounter(context);
  }
  auto change = std::make_shared<FloatHistogram>(*right);
  if (!SubtractAnnotated(*left, context, change.get())) return {};
  if (is_counter && !AddInnerResets(window, edges, *left, *right, mixed,
                                    context, change.get())) {
    return {};
  }
  if (kind == RateKind::kRate) {
    model::Divide(static_cast<double>(context.geometry.range_ms) / 1000,
                  change.get());
  }
  model::Compact(change.get());
  return Gauge(std::move(change));
}

WindowResult InstantChangeOfMixed(bool per_second, const MixedWindow& window,
                                  RangeContext& context) {
  if (window.floats.size + window.histograms.size < 2) return {};
  std::size_t floats = 0;
  std::size_t histograms = 0;
  const AnySample last = TakeNewest(window, &floats, &histograms);
  const AnySample previous = TakeNewest(window, &floats, &histograms);
  if ((last.histogram == nullptr) != (previous.histogram == nullptr)) {
    context.annotations->MixedFloatsHistograms(context.metric_name,
                                               context.position);
    return {};
  }
  const double seconds =
      static_cast<double>(last.time_ms - previous.time_ms) / 1000;
  if (seconds == 0) return {};
  const bool restarted =
      per_second && IsStartReset(previous.start_ms, previous.time_ms,
                                 last.start_ms, last.time_ms);
  if (last.histogram == nullptr) {
    if (!per_second) return {last.value - previous.value};
    const bool fell = restarted || last.value < previous.value;
    return {(fell ? last.value : last.value - previous.value) / seconds};
  }
  const bool any_gauge =
      IsGauge(*last.histogram) || IsGauge(*previous.histogram);
  const bool all_gauges =
      IsGauge(*last.histogram) && IsGauge(*previous.histogram);
  if (per_second && any_gauge) WarnOfGauge(context);
  if (!per_second && !all_gauges) WarnOfCounter(context);
  auto change = std::make_shared<FloatHistogram>(*last.histogram);
  const bool subtract =
      !per_second ||
      (!restarted && !model::DetectReset(*previous.histogram, *last.histogram));
  if (subtract &&
      !SubtractAnnotated(*previous.histogram, context, change.get())) {
    return {};
  }
  model::Compact(change.get());
  if (per_second) model::Divide(seconds, change.get());
  return Gauge(std::move(change));
}

}  // namespace narthex::promql
