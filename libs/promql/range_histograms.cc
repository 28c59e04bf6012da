#include "libs/promql/range_histograms.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "libs/model/histogram_arithmetic.h"
#include "libs/model/histogram_sum.h"

namespace narthex::promql {
namespace {

using MixedFunction = WindowResult (*)(const MixedWindow&, RangeContext&);

/// The samples of a series by kind.
struct SplitSamples {
  model::SampleColumns floats;
  std::vector<std::int64_t> times;  // Of the histograms.
  std::vector<model::HistogramPtr> histograms;
  std::vector<std::int64_t> starts;
};

SplitSamples Split(const model::SampleColumns& samples) {
  SplitSamples split;
  const bool has_starts = !samples.starts_ms.empty();
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (samples.histograms[i] == nullptr) {
      split.floats.timestamps_ms.push_back(samples.timestamps_ms[i]);
      split.floats.values.push_back(samples.values[i]);
      if (has_starts) split.floats.starts_ms.push_back(samples.starts_ms[i]);
    } else {
      split.times.push_back(samples.timestamps_ms[i]);
      split.histograms.push_back(samples.histograms[i]);
      if (has_starts) split.starts.push_back(samples.starts_ms[i]);
    }
  }
  return split;
}

/// The positions of the samples within a window that moves forward.
struct Within {
  std::size_t low = 0;
  std::size_t high = 0;

  void Move(const std::vector<std::int64_t>& times, std::int64_t after_ms,
            std::int64_t to_ms) {
    while (high < times.size() && times[high] <= to_ms) ++high;
    while (low < high && times[low] <= after_ms) ++low;
  }
  std::size_t size() const { return high - low; }
};

double Seconds(std::int64_t ms) { return static_cast<double>(ms) / 1000; }

WindowResult Count(const MixedWindow& window, RangeContext&) {
  return {static_cast<double>(window.floats.size + window.histograms.size)};
}

WindowResult Present(const MixedWindow&, RangeContext&) { return {1}; }

WindowResult First(const MixedWindow& window, RangeContext&) {
  const RangeWindow& floats = window.floats;
  const HistogramWindow& histograms = window.histograms;
  if (histograms.size == 0 ||
      (floats.size > 0 && floats.times[0] < histograms.times[0])) {
    return {floats.values[0]};
  }
  return {Absent(), histograms.values[0]};
}

WindowResult Last(const MixedWindow& window, RangeContext&) {
  const RangeWindow& floats = window.floats;
  const HistogramWindow& histograms = window.histograms;
  if (histograms.size == 0 ||
      (floats.size > 0 &&
       histograms.times[histograms.size - 1] < floats.times[floats.size - 1])) {
    return {floats.values[floats.size - 1]};
  }
  return {Absent(), histograms.values[histograms.size - 1]};
}

WindowResult TimeOfFirst(const MixedWindow& window, RangeContext&) {
  const RangeWindow& floats = window.floats;
  const HistogramWindow& histograms = window.histograms;
  if (histograms.size == 0) return {Seconds(floats.times[0])};
  if (floats.size == 0) return {Seconds(histograms.times[0])};
  return {Seconds(std::min(floats.times[0], histograms.times[0]))};
}

WindowResult TimeOfLast(const MixedWindow& window, RangeContext&) {
  std::int64_t last_ms = 0;
  if (window.floats.size > 0) {
    last_ms = window.floats.times[window.floats.size - 1];
  }
  if (window.histograms.size > 0) {
    last_ms =
        std::max(last_ms, window.histograms.times[window.histograms.size - 1]);
  }
  return {Seconds(last_ms)};
}

/// sum_over_time and avg_over_time.
template <typename Accumulator,
          model::FloatHistogram (Accumulator::*kResult)() const>
WindowResult Accumulate(const MixedWindow& window, RangeContext& context) {
  const HistogramWindow& histograms = window.histograms;
  if (window.floats.size > 0) {
    context.annotations->MixedFloatsHistograms(context.metric_name,
                                               context.position);
    return {};
  }
  bool saw_reset = false;
  bool saw_no_reset = false;
  bool reconciled = false;
  std::optional<Accumulator> accumulator;
  for (std::size_t i = 0; i < histograms.size; ++i) {
    const model::FloatHistogram& histogram = *histograms.values[i];
    saw_reset |= histogram.counter_reset == model::CounterReset::kReset;
    saw_no_reset |= histogram.counter_reset == model::CounterReset::kNotReset;
    if (!accumulator.has_value()) {
      accumulator.emplace(histogram);
      continue;
    }
    const model::MergeOutcome outcome = accumulator->Add(histogram);
    if (outcome.incompatible) {
      context.annotations->MixedSchemas(context.metric_name, context.position);
      return {};
    }
    reconciled |= outcome.bounds_reconciled;
  }
  if (saw_reset && saw_no_reset) {
    context.annotations->ResetCollision("aggregation", context.position);
  }
  if (reconciled) {
    context.annotations->BoundsReconciled("aggregation", context.position);
  }
  return {Absent(), std::make_shared<const model::FloatHistogram>(
                        ((*accumulator).*kResult)())};
}

/// Walks the samples of both kinds in order of time.
class MixedCursor {
 public:
  /// From the given first float and histogram on.
  MixedCursor(const MixedWindow& window, std::size_t first_float,
              std::size_t first_histogram)
      : window_(window), float_(first_float), histogram_(first_histogram) {}

  struct Sample {
    std::int64_t time_ms = 0;
    std::int64_t start_ms = 0;
    double value = 0;
    const model::FloatHistogram* histogram = nullptr;
  };

  bool Next(Sample* sample) {
    const RangeWindow& floats = window_.floats;
    const HistogramWindow& histograms = window_.histograms;
    const bool has_float = float_ < floats.size;
    const bool has_histogram = histogram_ < histograms.size;
    if (!has_float && !has_histogram) return false;
    if (!has_histogram ||
        (has_float && floats.times[float_] < histograms.times[histogram_])) {
      *sample = {floats.times[float_],
                 floats.starts == nullptr ? 0 : floats.starts[float_],
                 floats.values[float_], nullptr};
      ++float_;
    } else {
      *sample = {
          histograms.times[histogram_],
          histograms.starts == nullptr ? 0 : histograms.starts[histogram_], 0,
          histograms.values[histogram_].get()};
      ++histogram_;
    }
    return true;
  }

 private:
  const MixedWindow& window_;
  std::size_t float_;
  std::size_t histogram_;
};

/// The number of samples not after the start of the range.
std::size_t NotAfterStart(const std::int64_t* times, std::size_t size,
                          std::int64_t start_ms) {
  return static_cast<std::size_t>(
      std::upper_bound(times, times + size, start_ms) - times);
}

/// Where counting begins: under `anchored` with the newest sample not after the
/// start of the range. None when no sample lies within.
std::optional<MixedCursor> CursorOf(const MixedWindow& window,
                                    const RangeContext& context) {
  if (!context.geometry.anchored) return MixedCursor(window, 0, 0);
  const RangeWindow& floats = window.floats;
  const HistogramWindow& histograms = window.histograms;
  const std::size_t before_floats =
      NotAfterStart(floats.times, floats.size, floats.start_ms);
  const std::size_t before_histograms =
      NotAfterStart(histograms.times, histograms.size, floats.start_ms);
  if (before_floats == floats.size && before_histograms == histograms.size) {
    return std::nullopt;
  }
  if (before_floats == 0 && before_histograms == 0) {
    return MixedCursor(window, 0, 0);
  }
  const bool float_is_newest =
      before_histograms == 0 ||
      (before_floats > 0 && floats.times[before_floats - 1] >=
                                histograms.times[before_histograms - 1]);
  return float_is_newest
             ? MixedCursor(window, before_floats - 1, before_histograms)
             : MixedCursor(window, before_floats, before_histograms - 1);
}

bool IsChange(const MixedCursor::Sample& before,
              const MixedCursor::Sample& after) {
  if ((before.histogram == nullptr) != (after.histogram == nullptr)) {
    return true;
  }
  if (after.histogram != nullptr) {
    return !model::Equal(*after.histogram, *before.histogram);
  }
  return after.value != before.value &&
         !(std::isnan(after.value) && std::isnan(before.value));
}

bool IsReset(const MixedCursor::Sample& before,
             const MixedCursor::Sample& after) {
  if ((before.histogram == nullptr) != (after.histogram == nullptr)) {
    return true;
  }
  if (IsStartReset(before.start_ms, before.time_ms, after.start_ms,
                   after.time_ms)) {
    return true;
  }
  return after.histogram != nullptr
             ? model::DetectReset(*before.histogram, *after.histogram)
             : after.value < before.value;
}

/// changes() and resets(): how many neighbours satisfy kCounts.
template <bool (*kCounts)(const MixedCursor::Sample&,
                          const MixedCursor::Sample&)>
WindowResult CountPairs(const MixedWindow& window, RangeContext& context) {
  std::optional<MixedCursor> cursor = CursorOf(window, context);
  if (!cursor.has_value()) return {};
  MixedCursor::Sample before;
  MixedCursor::Sample after;
  int count = 0;
  cursor->Next(&before);
  while (cursor->Next(&after)) {
    if (kCounts(before, after)) ++count;
    before = after;
  }
  return {static_cast<double>(count)};
}

template <RateKind kKind>
WindowResult Rate(const MixedWindow& window, RangeContext& context) {
  if (window.floats.size > 0 && window.histograms.size > 0) {
    context.annotations->MixedFloatsHistograms(context.metric_name,
                                               context.position);
    return {};
  }
  if (window.histograms.size == 0) {
    return {RateOf(kKind, window.floats, context)};
  }
  return context.geometry.anchored || context.geometry.smoothed
             ? ExtendedHistogramRate(kKind, window, context)
             : HistogramRateOf(kKind, window, context);
}

template <bool kPerSecond>
WindowResult Instant(const MixedWindow& window, RangeContext& context) {
  return InstantChangeOfMixed(kPerSecond, window, context);
}

MixedFunction FindMixedFunction(absl::string_view name) {
  using Table = absl::flat_hash_map<absl::string_view, MixedFunction>;
  static const Table* const kTable = new Table{
      {"rate", Rate<RateKind::kRate>},
      {"increase", Rate<RateKind::kIncrease>},
      {"delta", Rate<RateKind::kDelta>},
      {"irate", Instant<true>},
      {"idelta", Instant<false>},
      {"changes", CountPairs<IsChange>},
      {"resets", CountPairs<IsReset>},
      {"sum_over_time",
       Accumulate<model::HistogramSum, &model::HistogramSum::Total>},
      {"avg_over_time",
       Accumulate<model::HistogramMean, &model::HistogramMean::Mean>},
      {"count_over_time", Count},
      {"present_over_time", Present},
      {"absent_over_time", Present},
      {"first_over_time", First},
      {"last_over_time", Last},
      {"ts_of_first_over_time", TimeOfFirst},
      {"ts_of_last_over_time", TimeOfLast},
  };
  const auto it = kTable->find(name);
  return it == kTable->end() ? nullptr : it->second;
}

/// A function of floats alone: it passes histograms over, but not silently.
WindowResult IgnoreHistograms(const RangeFunction& function,
                              const MixedWindow& window,
                              RangeContext& context) {
  if (window.floats.size == 0) return {};
  if (window.histograms.size > 0) {
    context.annotations->IgnoredInRange(context.metric_name, context.position);
  }
  return {function.window(window.floats, context)};
}

}  // namespace

void ApplyToHistograms(absl::string_view name, const RangeFunction& function,
                       const model::SampleColumns& samples,
                       RangeContext& context, Column* out) {
  const MixedFunction mixed = FindMixedFunction(name);
  const RangeGeometry& geometry = context.geometry;
  const std::int64_t before_ms =
      geometry.range_ms +
      (geometry.anchored || geometry.smoothed ? context.lookback_ms : 0);
  const std::int64_t after_ms = geometry.smoothed ? context.lookback_ms : 0;
  const SplitSamples split = Split(samples);
  if (function.needs_falls) FindFalls(split.floats, &context);
  Within floats;
  Within histograms;
  MixedWindow window;
  window.floats.end_ms = geometry.first_end_ms;
  for (std::size_t i = 0; i < out->values.size(); ++i) {
    RangeWindow& f = window.floats;
    HistogramWindow& h = window.histograms;
    floats.Move(split.floats.timestamps_ms, f.end_ms - before_ms,
                f.end_ms + after_ms);
    histograms.Move(split.times, f.end_ms - before_ms, f.end_ms + after_ms);
    out->values[i] = Absent();
    if (floats.size() + histograms.size() > 0) {
      f.times = split.floats.timestamps_ms.data() + floats.low;
      f.values = split.floats.values.data() + floats.low;
      f.starts = split.floats.starts_ms.empty()
                     ? nullptr
                     : split.floats.starts_ms.data() + floats.low;
      f.size = floats.size();
      f.offset = floats.low;
      f.start_ms = f.end_ms - geometry.range_ms;
      f.step = i;
      f.step_time_ms = context.grid.At(i);
      h.times = split.times.data() + histograms.low;
      h.values = split.histograms.data() + histograms.low;
      h.starts =
          split.starts.empty() ? nullptr : split.starts.data() + histograms.low;
      h.size = histograms.size();
      context.seen.See(i, f.size + h.size, context.tell_steps);
      // A window without histograms is as one of a series without them.
      const bool only_floats =
          h.size == 0 && !geometry.anchored && !geometry.smoothed;
      WindowResult result = mixed != nullptr && !only_floats
                                ? mixed(window, context)
                                : IgnoreHistograms(function, window, context);
      if (!context.status.ok()) return;
      if (result.histogram != nullptr) {
        out->SetHistogram(i, std::move(result.histogram));
      } else {
        out->values[i] = result.value;
      }
    }
    f.end_ms += geometry.step_ms;
  }
}

}  // namespace narthex::promql
