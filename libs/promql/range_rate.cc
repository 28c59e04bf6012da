#include "libs/promql/range_rate.h"

#include <algorithm>
#include <cmath>

namespace narthex::promql {
namespace {

double Seconds(std::int64_t ms) { return static_cast<double>(ms) / 1000; }

void WarnOfOverlap(const RangeWindow& window, RangeContext& context) {
  const auto& overlaps = context.overlaps;
  const auto first =
      std::upper_bound(overlaps.begin(), overlaps.end(), window.offset);
  if (first == overlaps.end() || *first >= window.offset + window.size) return;
  context.annotations->StartTimeOverlap(context.metric_name, context.position);
}

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

double Interpolate(const RangeWindow& window, std::size_t left,
                   std::int64_t at_ms, bool is_counter) {
  double from = window.values[left];
  const double to = window.values[left + 1];
  if (is_counter && to < from) from = 0;
  return from +
         (to - from) * static_cast<double>(at_ms - window.times[left]) /
             static_cast<double>(window.times[left + 1] - window.times[left]);
}

/// What an extended range counts with.
struct Edges : EdgePositions {
  double left = 0;  // The values at its edges.
  double right = 0;
};

Edges EdgesOf(const RangeWindow& window, bool smoothed, bool is_counter) {
  Edges edges{EdgePositionsOf(window.times, window.size, window.start_ms,
                              window.end_ms, smoothed)};
  const bool between = edges.first + 1 < window.size;
  edges.left =
      smoothed && between && window.times[edges.first] < window.start_ms
          ? Interpolate(window, edges.first, window.start_ms, is_counter)
          : window.values[edges.first];
  edges.right =
      smoothed && edges.last > 0 && window.times[edges.last] > window.end_ms
          ? Interpolate(window, edges.last - 1, window.end_ms, is_counter)
          : window.values[edges.last];
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

double ExtrapolationFactor(const Coverage& coverage, bool is_counter,
                           double first, double change) {
  double to_start = Seconds(coverage.first_ms - coverage.start_ms);
  double to_end = Seconds(coverage.end_ms - coverage.last_ms);
  const double sampled = Seconds(coverage.last_ms - coverage.first_ms);
  const double spacing = sampled / static_cast<double>(coverage.samples - 1);
  // A gap no wider than this is taken for ordinary spacing; behind a wider one
  // the series is assumed to begin or end half a spacing away.
  const double threshold = spacing * 1.1;
  if (to_start >= threshold) to_start = spacing / 2;
  if (is_counter && change > 0 && first >= 0) {
    // A counter was never below zero.
    to_start = std::min(to_start, sampled * (first / change));
  }
  if (to_end >= threshold) to_end = spacing / 2;
  return (sampled + to_start + to_end) / sampled;
}

double FactorSinceStart(const Coverage& coverage, std::int64_t began_ms) {
  double spacing = 0;
  if (coverage.samples > 1) {
    spacing = Seconds(coverage.last_ms - coverage.first_ms) /
              static_cast<double>(coverage.samples - 1);
  }
  double to_end = Seconds(coverage.end_ms - coverage.last_ms);
  if (to_end >= spacing * 1.1) to_end = spacing / 2;
  const double sampled = Seconds(coverage.last_ms - began_ms);
  return (sampled + to_end) / sampled;
}

bool IsStartReset(std::int64_t previous_start_ms, std::int64_t previous_ms,
                  std::int64_t start_ms, std::int64_t time_ms) {
  if (start_ms == 0 || start_ms >= time_ms || start_ms < previous_ms) {
    return false;
  }
  if (start_ms > previous_ms) return true;
  // It begins where the sample before ends, as that of every delta does. It is
  // a reset when the sample before covers some time of its own.
  return previous_start_ms != 0 && previous_start_ms < previous_ms;
}

void FindFalls(const model::SampleColumns& samples, RangeContext* context) {
  const std::vector<double>& values = samples.values;
  context->falls.clear();
  context->overlaps.clear();
  if (samples.starts_ms.empty()) {
    for (std::size_t i = 1; i < values.size(); ++i) {
      if (values[i] < values[i - 1]) context->falls.push_back(i);
    }
    return;
  }
  const auto& times = samples.timestamps_ms;
  const auto& starts = samples.starts_ms;
  for (std::size_t i = 1; i < values.size(); ++i) {
    if (values[i] < values[i - 1] ||
        IsStartReset(starts[i - 1], times[i - 1], starts[i], times[i])) {
      context->falls.push_back(i);
    }
    if (IsStartOverlap(starts[i - 1], times[i - 1], starts[i])) {
      context->overlaps.push_back(i);
    }
  }
}

EdgePositions EdgePositionsOf(const std::int64_t* times, std::size_t size,
                              std::int64_t start_ms, std::int64_t end_ms,
                              bool smoothed) {
  EdgePositions edges;
  edges.last = size - 1;
  // The last sample not after the start, or the first of all.
  const std::int64_t* after =
      std::upper_bound(times, times + edges.last, start_ms);
  if (after != times) edges.first = static_cast<std::size_t>(after - times) - 1;
  if (smoothed) {
    edges.last = static_cast<std::size_t>(
        std::lower_bound(times, times + edges.last, end_ms) - times);
  }
  edges.inner_begin =
      times[edges.first] <= start_ms ? edges.first + 1 : edges.first;
  edges.inner_end = times[edges.last] >= end_ms ? edges.last : edges.last + 1;
  return edges;
}

double RateOf(RateKind kind, const RangeWindow& window, RangeContext& context) {
  if (context.geometry.anchored || context.geometry.smoothed) {
    return ExtendedRate(kind, window, context);
  }
  const bool is_counter = kind != RateKind::kDelta;
  const Coverage coverage{window.times[0], window.times[window.size - 1],
                          window.size, window.start_ms, window.end_ms};
  const bool began_within = is_counter && window.starts != nullptr &&
                            BeganWithin(coverage, window.starts[0]);
  if (window.size < 2 && !began_within) return Absent();
  double change = window.values[window.size - 1] - window.values[0];
  if (is_counter) change = AddResets(window, context, change);
  if (!context.overlaps.empty()) WarnOfOverlap(window, context);
  double factor = 0;
  if (began_within) {
    change += window.values[0];
    factor = FactorSinceStart(coverage, window.starts[0]);
  } else {
    factor =
        ExtrapolationFactor(coverage, is_counter, window.values[0], change);
  }
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
  const bool restarted =
      window.starts != nullptr && IsStartReset(window.starts[window.size - 2],
                                               window.times[window.size - 2],
                                               window.starts[window.size - 1],
                                               window.times[window.size - 1]);
  // After a reset the counter has come from zero.
  const double change = restarted || last < previous ? last : last - previous;
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
