#include "libs/promql/range_functions.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_format.h"
#include "libs/promql/kahan.h"
#include "libs/promql/quantile.h"
#include "libs/promql/range_rate.h"

namespace narthex::promql {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// A few milliseconds' worth.
constexpr std::int64_t kSamplesBetweenChecks = 1 << 20;

using WindowFunction = double (*)(const RangeWindow&, RangeContext&);

/// Slides the windows of all steps over a series, two positions moving forward
/// only, and takes the value of each that is not empty.
template <WindowFunction kFunction>
void Slide(const model::SampleColumns& samples, RangeContext& context,
           std::vector<double>* out) {
  const RangeGeometry& geometry = context.geometry;
  const std::int64_t before_ms =
      geometry.range_ms +
      (geometry.anchored || geometry.smoothed ? context.lookback_ms : 0);
  const std::int64_t after_ms = geometry.smoothed ? context.lookback_ms : 0;
  const std::int64_t* times = samples.timestamps_ms.data();
  const std::size_t size = samples.size();
  std::size_t low = 0;
  std::size_t high = 0;
  std::int64_t check_at = context.seen.total + kSamplesBetweenChecks;
  RangeWindow window;
  window.end_ms = geometry.first_end_ms;
  for (std::size_t i = 0; i < out->size(); ++i) {
    while (high < size && times[high] <= window.end_ms + after_ms) ++high;
    while (low < high && times[low] <= window.end_ms - before_ms) ++low;
    if (low == high) {
      (*out)[i] = Absent();
    } else {
      window.times = times + low;
      window.values = samples.values.data() + low;
      window.starts =
          samples.starts_ms.empty() ? nullptr : samples.starts_ms.data() + low;
      window.size = high - low;
      window.offset = low;
      window.start_ms = window.end_ms - geometry.range_ms;
      window.step = i;
      window.step_time_ms = context.grid.At(i);
      context.seen.See(i, window.size, context.tell_steps);
      (*out)[i] = kFunction(window, context);
      if (context.seen.total > check_at) {
        check_at = context.seen.total + kSamplesBetweenChecks;
        context.status.Update(context.evaluation->CheckAlive());
        if (!context.status.ok()) return;
      }
    }
    window.end_ms += geometry.step_ms;
  }
}

double Seconds(std::int64_t ms) { return static_cast<double>(ms) / 1000; }

double Avg(const RangeWindow& window, RangeContext&) {
  CompensatedMean mean;
  for (std::size_t i = 0; i < window.size; ++i) mean.Add(window.values[i]);
  return mean.Mean();
}

double Sum(const RangeWindow& window, RangeContext&) {
  double sum = 0;
  double compensation = 0;
  for (std::size_t i = 0; i < window.size; ++i) {
    KahanAdd(window.values[i], &sum, &compensation);
  }
  return std::isinf(sum) ? sum : sum + compensation;
}

double Count(const RangeWindow& window, RangeContext&) {
  return static_cast<double>(window.size);
}

double Max(const RangeWindow& window, RangeContext&) {
  double max = window.values[0];
  for (std::size_t i = 1; i < window.size; ++i) {
    if (window.values[i] > max || std::isnan(max)) max = window.values[i];
  }
  return max;
}

double Min(const RangeWindow& window, RangeContext&) {
  double min = window.values[0];
  for (std::size_t i = 1; i < window.size; ++i) {
    if (window.values[i] < min || std::isnan(min)) min = window.values[i];
  }
  return min;
}

double TimeOfMax(const RangeWindow& window, RangeContext&) {
  std::size_t at = 0;
  for (std::size_t i = 1; i < window.size; ++i) {
    if (window.values[i] >= window.values[at] ||
        std::isnan(window.values[at])) {
      at = i;
    }
  }
  return Seconds(window.times[at]);
}

double TimeOfMin(const RangeWindow& window, RangeContext&) {
  std::size_t at = 0;
  for (std::size_t i = 1; i < window.size; ++i) {
    if (window.values[i] <= window.values[at] ||
        std::isnan(window.values[at])) {
      at = i;
    }
  }
  return Seconds(window.times[at]);
}

double First(const RangeWindow& window, RangeContext&) {
  return window.values[0];
}

double Last(const RangeWindow& window, RangeContext&) {
  return window.values[window.size - 1];
}

double TimeOfFirst(const RangeWindow& window, RangeContext&) {
  return Seconds(window.times[0]);
}

double TimeOfLast(const RangeWindow& window, RangeContext&) {
  return Seconds(window.times[window.size - 1]);
}

double Present(const RangeWindow&, RangeContext&) { return 1; }

double QuantileOf(const RangeWindow& window, RangeContext& context) {
  const double phi = context.scalars[0][window.step];
  if (!(phi >= 0 && phi <= 1)) {
    context.annotations->InvalidQuantile(phi, context.position);
  }
  context.scratch.assign(window.values, window.values + window.size);
  return Quantile(phi, &context.scratch);
}

/// The median of the distances from the median.
double MedianDeviation(const RangeWindow& window, RangeContext& context) {
  std::vector<double>& values = context.scratch;
  values.assign(window.values, window.values + window.size);
  for (const double value : values) {
    if (std::isnan(value)) return kNan;
  }
  const double median = Quantile(0.5, &values);
  for (double& value : values) value = std::fabs(value - median);
  return Quantile(0.5, &values);
}

double Variance(const RangeWindow& window, RangeContext&) {
  double count = 0;
  double mean = 0;
  double mean_compensation = 0;
  double squares = 0;
  double squares_compensation = 0;
  for (std::size_t i = 0; i < window.size; ++i) {
    const double value = window.values[i];
    count += 1;
    const double delta = value - (mean + mean_compensation);
    KahanAdd(delta / count, &mean, &mean_compensation);
    KahanAdd(delta * (value - (mean + mean_compensation)), &squares,
             &squares_compensation);
  }
  return (squares + squares_compensation) / count;
}

double Deviation(const RangeWindow& window, RangeContext& context) {
  return std::sqrt(Variance(window, context));
}

struct Line {
  double slope = 0;
  double intercept = 0;
};

/// The least-squares line through the samples of a window, its intercept at
/// `origin_ms`.
Line FitLine(const RangeWindow& window, std::int64_t origin_ms) {
  double x_sum = 0, x_c = 0, y_sum = 0, y_c = 0;
  double xy_sum = 0, xy_c = 0, xx_sum = 0, xx_c = 0;
  const double first = window.values[0];
  bool constant = true;
  for (std::size_t i = 0; i < window.size; ++i) {
    const double y = window.values[i];
    if (i > 0 && y != first) constant = false;
    const double x = static_cast<double>(window.times[i] - origin_ms) / 1e3;
    KahanAdd(x, &x_sum, &x_c);
    KahanAdd(y, &y_sum, &y_c);
    KahanAdd(x * y, &xy_sum, &xy_c);
    KahanAdd(x * x, &xx_sum, &xx_c);
  }
  if (constant) {
    if (std::isinf(first)) return {kNan, kNan};
    return {0, first};
  }
  x_sum += x_c;
  y_sum += y_c;
  xy_sum += xy_c;
  xx_sum += xx_c;
  const double n = static_cast<double>(window.size);
  const double covariance = xy_sum - x_sum * y_sum / n;
  const double variance = xx_sum - x_sum * x_sum / n;
  Line line;
  line.slope = covariance / variance;
  line.intercept = y_sum / n - line.slope * x_sum / n;
  return line;
}

double Deriv(const RangeWindow& window, RangeContext&) {
  if (window.size < 2) return Absent();
  // An origin near the samples keeps the products small and so exact.
  return FitLine(window, window.times[0]).slope;
}

double PredictLinear(const RangeWindow& window, RangeContext& context) {
  if (window.size < 2) return Absent();
  const Line line = FitLine(window, window.step_time_ms);
  return line.slope * context.scalars[0][window.step] + line.intercept;
}

double DoubleExponentialSmoothing(const RangeWindow& window,
                                  RangeContext& context) {
  const double smoothing = context.scalars[0][window.step];
  const double trending = context.scalars[1][window.step];
  const auto refuse = [&](const char* what, double value) {
    context.status = absl::FailedPreconditionError(
        absl::StrFormat("invalid %s factor. Expected: 0 < %cf < 1, got: %f",
                        what, what[0], value));
    return Absent();
  };
  if (smoothing <= 0 || smoothing >= 1) return refuse("smoothing", smoothing);
  if (trending <= 0 || trending >= 1) return refuse("trend", trending);
  if (window.size < 2) return Absent();
  double older = 0;
  double level = window.values[0];
  double trend = window.values[1] - window.values[0];
  for (std::size_t i = 1; i < window.size; ++i) {
    const double scaled = smoothing * window.values[i];
    if (i > 1) trend = trending * (level - older) + (1 - trending) * trend;
    const double carried = (1 - smoothing) * (level + trend);
    older = level;
    level = scaled + carried;
  }
  return level;
}

template <RateKind kKind>
double Rate(const RangeWindow& window, RangeContext& context) {
  return RateOf(kKind, window, context);
}

template <bool kPerSecond>
double Instant(const RangeWindow& window, RangeContext&) {
  return InstantChange(kPerSecond, window);
}

double Changes(const RangeWindow& window, RangeContext& context) {
  return CountChanges(window, context);
}

double Resets(const RangeWindow& window, RangeContext& context) {
  return CountResets(window, context);
}

/// A function that takes one window after another.
template <WindowFunction kFunction>
RangeFunction Sliding() {
  RangeFunction function;
  function.apply = Slide<kFunction>;
  function.window = kFunction;
  return function;
}

RangeFunction KeepingName(RangeFunction function) {
  function.keeps_name = true;
  return function;
}

RangeFunction OfCounter(RangeFunction function) {
  function.needs_falls = true;
  function.uses_starts = true;
  return function;
}

RangeFunction Anchored(RangeFunction function) {
  function.allows_anchored = true;
  return function;
}

RangeFunction Extended(RangeFunction function) {
  function.allows_smoothed = true;
  return Anchored(function);
}

RangeFunction UsingStarts(RangeFunction function) {
  function.uses_starts = true;
  return function;
}

using Table = absl::flat_hash_map<absl::string_view, RangeFunction>;

const Table& Functions() {
  static const Table* const kTable = new Table{
      {"rate", Extended(OfCounter(Sliding<Rate<RateKind::kRate>>()))},
      {"increase", Extended(OfCounter(Sliding<Rate<RateKind::kIncrease>>()))},
      {"delta", Extended(Sliding<Rate<RateKind::kDelta>>())},
      {"irate", UsingStarts(Sliding<Instant<true>>())},
      {"idelta", Sliding<Instant<false>>()},
      {"changes", Anchored(Sliding<Changes>())},
      {"resets", Anchored(OfCounter(Sliding<Resets>()))},
      {"deriv", Sliding<Deriv>()},
      {"predict_linear", Sliding<PredictLinear>()},
      {"double_exponential_smoothing", Sliding<DoubleExponentialSmoothing>()},
      {"avg_over_time", Sliding<Avg>()},
      {"sum_over_time", Sliding<Sum>()},
      {"count_over_time", Sliding<Count>()},
      {"min_over_time", Sliding<Min>()},
      {"max_over_time", Sliding<Max>()},
      {"quantile_over_time", Sliding<QuantileOf>()},
      {"stddev_over_time", Sliding<Deviation>()},
      {"stdvar_over_time", Sliding<Variance>()},
      {"mad_over_time", Sliding<MedianDeviation>()},
      {"first_over_time", KeepingName(Sliding<First>())},
      {"last_over_time", KeepingName(Sliding<Last>())},
      {"ts_of_first_over_time", Sliding<TimeOfFirst>()},
      {"ts_of_last_over_time", Sliding<TimeOfLast>()},
      {"ts_of_max_over_time", Sliding<TimeOfMax>()},
      {"ts_of_min_over_time", Sliding<TimeOfMin>()},
      {"present_over_time", Sliding<Present>()},
      {"absent_over_time", Sliding<Present>()},
  };
  return *kTable;
}

}  // namespace

const RangeFunction* FindRangeFunction(absl::string_view name) {
  const auto it = Functions().find(name);
  return it == Functions().end() ? nullptr : &it->second;
}

absl::string_view AnchoredFunctionNames() {
  return "changes, delta, increase, rate, resets";
}

absl::string_view SmoothedFunctionNames() { return "delta, increase, rate"; }

}  // namespace narthex::promql
