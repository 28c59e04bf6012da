#include "libs/promql/range_rate.h"

#include <algorithm>
#include <cmath>

namespace narthex::promql {
namespace {

/// What must be added to last minus first because the counter began anew
/// between samples `first` and `last` (of the window), as rate() sees it.
double AddResets(const RangeWindow& window, const RangeContext& context,
                 double increase) {
  const auto& falls = context.falls;
  if (falls.empty()) return increase;
  const std::size_t end = window.offset + window.size;
  auto fall = std::upper_bound(falls.begin(), falls.end(), window.offset);
  for (; fall != falls.end() && *fall < end; ++fall) {
    increase += window.values[*fall - window.offset - 1];
  }
  return increase;
}

/// By how much of the sampled interval the change is to be stretched so that it
/// covers the range.
double ExtrapolationFactor(const RangeWindow& window, bool is_counter,
                           double increase) {
  const std::int64_t first_ms = window.times[0];
  const std::int64_t last_ms = window.times[window.size - 1];
  const auto seconds = [](std::int64_t ms) {
    return static_cast<double>(ms) / 1000;
  };
  double to_start = seconds(first_ms - window.start_ms);
  double to_end = seconds(window.end_ms - last_ms);
  const double sampled = seconds(last_ms - first_ms);
  const double spacing = sampled / static_cast<double>(window.size - 1);
  // A gap no wider than this is taken for ordinary spacing; behind a wider one
  // the series is assumed to begin or end half a spacing away.
  const double threshold = spacing * 1.1;
  if (to_start >= threshold) to_start = spacing / 2;
  if (is_counter && increase > 0 && window.values[0] >= 0) {
    // A counter was never below zero.
    const double to_zero = sampled * (window.values[0] / increase);
    to_start = std::min(to_start, to_zero);
  }
  if (to_end >= threshold) to_end = spacing / 2;
  return (sampled + to_start + to_end) / sampled;
}

double Interpolate(const RangeWindow& window, std::size_t left,
                   std::int64_t at_ms, bool is_counter) {
  double from = window.values[left];
  const double to = window.values[left + 1];
  if (is_counter && to < from) from = 0;
  return from +
         (to - from) * static_cast<double>(at_ms - window.times[left]) /
             static_cast<double>(window.times[left + 1] - window.times[left]);
}

/// The first sample of the window an extended range counts with: the last one
/// not after its start, or the first of all. Looks no further than `last`.
std::size_t FirstOfExtended(const RangeWindow& window, std::size_t last) {
  const std::int64_t* after =
      std::upper_bound(window.times, window.times + last, window.start_ms);
  return after == window.times
             ? 0
             : static_cast<std::size_t>(after - window.times) - 1;
}

/// What an extended range counts with.
struct Edges {
  double left = 0;  // The values at its edges.
  double right = 0;
  std::size_t first = 0;  // The samples these come from.
  std::size_t last = 0;
  std::size_t inner_begin = 0;  // The samples strictly inside.
  std::size_t inner_end = 0;
};

Edges EdgesOf(const RangeWindow& window, bool smoothed, bool is_counter) {
  Edges edges;
  edges.last = window.size - 1;
  edges.first = FirstOfExtended(window, edges.last);
  if (smoothed) {
    edges.last = static_cast<std::size_t>(
        std::lower_bound(window.times, window.times + edges.last,
                         window.end_ms) -
        window.times);
  }
  const std::int64_t first_ms = window.times[edges.first];
  const std::int64_t last_ms = window.times[edges.last];
  const bool between = edges.first + 1 < window.size;
  edges.left =
      smoothed && between && first_ms < window.start_ms
          ? Interpolate(window, edges.first, window.start_ms, is_counter)
          : window.values[edges.first];
  edges.right =
      smoothed && edges.last > 0 && last_ms > window.end_ms
          ? Interpolate(window, edges.last - 1, window.end_ms, is_counter)
          : window.values[edges.last];
  edges.inner_begin =
      first_ms <= window.start_ms ? edges.first + 1 : edges.first;
  edges.inner_end = last_ms >= window.end_ms ? edges.last : edges.last + 1;
  return edges;
}

/// rate() and kin under `anchored` and `smoothed`: no extrapolation, but values
/// exactly at both edges.
double ExtendedRate(RateKind kind, const RangeWindow& window,
                    const RangeContext& context) {
  const bool smoothed = context.geometry.smoothed;
  const bool is_counter = kind != RateKind::kDelta;
  const Edges edges = EdgesOf(window, smoothed, is_counter);
  if (window.times[edges.last] <= window.start_ms) return Absent();
  if (smoothed && window.times[edges.first] > window.end_ms) return Absent();
  double change = edges.right - edges.left;
  if (is_counter) {
    // The edges have taken care of resets around them; what is left are those
    // between samples strictly inside.
    double correction = 0;
    double previous = edges.left;
    for (std::size_t i = edges.inner_begin; i < edges.inner_end; ++i) {
      if (window.values[i] < previous) correction += previous;
      previous = window.values[i];
    }
    if (edges.right < previous) correction += previous;
    change += correction;
  }
  if (kind == RateKind::kRate) {
    change /= static_cast<double>(context.geometry.range_ms) / 1000;
  }
  return change;
}

/// Where counting begins: under `anchored` with the newest sample not after the
/// start of the range. The size of the window when no sample lies within.
std::size_t FirstCounted(const RangeWindow& window,
                         const RangeContext& context) {
  if (!context.geometry.anchored) return 0;
  const std::int64_t* end = window.times + window.size;
  const std::int64_t* after =
      std::upper_bound(window.times, end, window.start_ms);
  if (after == end) return window.size;
  return after == window.times
             ? 0
             : static_cast<std::size_t>(after - window.times) - 1;
}

}  // namespace

double RateOf(RateKind kind, const RangeWindow& window, RangeContext& context) {
  if (context.geometry.anchored || context.geometry.smoothed) {
    return ExtendedRate(kind, window, context);
  }
  if (window.size < 2) return Absent();
  const bool is_counter = kind != RateKind::kDelta;
  double change = window.values[window.size - 1] - window.values[0];
  if (is_counter) change = AddResets(window, context, change);
  double factor = ExtrapolationFactor(window, is_counter, change);
  if (kind == RateKind::kRate) {
    factor /= static_cast<double>(context.geometry.range_ms) / 1000;
  }
  return change * factor;
}

double InstantChange(bool per_second, const RangeWindow& window) {
  if (window.size < 2) return Absent();
  const double last = window.values[window.size - 1];
  const double previous = window.values[window.size - 2];
  const std::int64_t interval_ms =
      window.times[window.size - 1] - window.times[window.size - 2];
  if (interval_ms == 0) return Absent();
  if (!per_second) return last - previous;
  // After a reset the counter has come from zero.
  const double change = last < previous ? last : last - previous;
  return change / (static_cast<double>(interval_ms) / 1000);
}

model::SampleColumns CutAtEdges(const model::SampleColumns& samples,
                                const RangeGeometry& geometry) {
  RangeWindow window;
  window.times = samples.timestamps_ms.data();
  window.values = samples.values.data();
  window.size = samples.size();
  window.end_ms = geometry.first_end_ms;
  window.start_ms = window.end_ms - geometry.range_ms;
  const Edges edges = EdgesOf(window, geometry.smoothed, false);
  model::SampleColumns cut;
  if (window.times[edges.last] <= window.start_ms) return cut;
  cut.Append(window.start_ms, edges.left);
  for (std::size_t i = edges.inner_begin; i < edges.inner_end; ++i) {
    cut.Append(window.times[i], window.values[i]);
  }
  cut.Append(window.end_ms, edges.right);
  return cut;
}

double CountChanges(const RangeWindow& window, const RangeContext& context) {
  const std::size_t first = FirstCounted(window, context);
  if (first == window.size) return Absent();
  std::size_t changes = 0;
  for (std::size_t i = first + 1; i < window.size; ++i) {
    const double previous = window.values[i - 1];
    const double current = window.values[i];
    if (current != previous && !(std::isnan(current) && std::isnan(previous))) {
      ++changes;
    }
  }
  return static_cast<double>(changes);
}

double CountResets(const RangeWindow& window, const RangeContext& context) {
  const std::size_t first = FirstCounted(window, context);
  if (first == window.size) return Absent();
  const auto& falls = context.falls;
  const auto begin =
      std::upper_bound(falls.begin(), falls.end(), window.offset + first);
  const auto end =
      std::lower_bound(begin, falls.end(), window.offset + window.size);
  return static_cast<double>(end - begin);
}

}  // namespace narthex::promql
