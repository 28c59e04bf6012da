#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "libs/base/status.h"
#include "libs/promql/eval_nodes.h"
#include "libs/promql/interpolate_histogram.h"
#include "libs/promql/trim_samples.h"

namespace narthex::promql {
namespace {

/// The position of the newest sample not after each reference, provided it is
/// younger than `lookback_ms`: calls found(step, sample) or missed(step).
template <typename Found, typename Missed>
void LookBack(const model::SampleColumns& samples, const References& references,
              std::size_t steps, std::int64_t lookback_ms, const Found& found,
              const Missed& missed) {
  const std::int64_t* times = samples.timestamps_ms.data();
  const std::size_t size = samples.size();
  std::size_t next = 0;
  std::int64_t reference = references.first_ms;
  for (std::size_t i = 0; i < steps; ++i, reference += references.step_ms) {
    while (next < size && times[next] <= reference) ++next;
    if (next > 0 && times[next - 1] > reference - lookback_ms) {
      found(i, next - 1);
    } else {
      missed(i);
    }
  }
}

bool IsHistogram(const model::SampleColumns& samples, std::size_t i) {
  return !samples.histograms.empty() && samples.histograms[i] != nullptr;
}

/// A staleness marker that is found is copied as such: it reads as absent.
void TakeValues(const model::SampleColumns& samples,
                const References& references, std::int64_t lookback_ms,
                Column* out) {
  std::vector<double>& values = out->values;
  LookBack(
      samples, references, values.size(), lookback_ms,
      [&](std::size_t step, std::size_t i) {
        values[step] = samples.values[i];
      },
      [&](std::size_t step) { values[step] = Absent(); });
  if (samples.histograms.empty()) return;
  LookBack(
      samples, references, values.size(), lookback_ms,
      [&](std::size_t step, std::size_t i) {
        if (!IsHistogram(samples, i)) return;
        out->SetHistogram(step, samples.histograms[i]);
      },
      [](std::size_t) {});
}

/// The time of a sample in seconds. Histograms stay as they are when
/// `keep_histograms`.
template <bool kKeepHistograms>
void TakeTimes(const model::SampleColumns& samples,
               const References& references, std::int64_t lookback_ms,
               Column* out) {
  std::vector<double>& values = out->values;
  LookBack(
      samples, references, values.size(), lookback_ms,
      [&](std::size_t step, std::size_t i) {
        if (kKeepHistograms && IsHistogram(samples, i)) {
          out->SetHistogram(step, samples.histograms[i]);
          return;
        }
        values[step] =
            IsAbsent(samples.values[i])
                ? Absent()
                : static_cast<double>(samples.timestamps_ms[i]) / 1000;
      },
      [&](std::size_t step) { values[step] = Absent(); });
}

/// When the counter of a sample began, in seconds; 0 where that is not known.
void TakeStartTimes(const model::SampleColumns& samples,
                    const References& references, std::int64_t lookback_ms,
                    Column* out) {
  std::vector<double>& values = out->values;
  LookBack(
      samples, references, values.size(), lookback_ms,
      [&](std::size_t step, std::size_t i) {
        const std::int64_t start_ms =
            samples.starts_ms.empty() ? 0 : samples.starts_ms[i];
        values[step] = IsAbsent(samples.values[i])
                           ? Absent()
                           : static_cast<double>(start_ms) / 1000;
      },
      [&](std::size_t step) { values[step] = Absent(); });
}

/// Interpolates between the samples around each reference; after the last
/// sample its value stays.
void TakeSmoothed(const model::SampleColumns& samples,
                  const References& references, std::int64_t lookback_ms,
                  Column* out) {
  const auto& times = samples.timestamps_ms;
  std::int64_t reference = references.first_ms;
  for (double& value : out->values) {
    value = Absent();
    const auto at = std::lower_bound(times.begin(), times.end(), reference);
    const auto next = static_cast<std::size_t>(at - times.begin());
    const bool has_next = at != times.end() && *at <= reference + lookback_ms;
    const bool has_previous =
        next > 0 && times[next - 1] > reference - lookback_ms;
    if (has_next && *at == reference) {
      value = samples.values[next];
    } else if (has_previous && has_next) {
      const double before = samples.values[next - 1];
      value = before + (samples.values[next] - before) *
                           static_cast<double>(reference - times[next - 1]) /
                           static_cast<double>(times[next] - times[next - 1]);
    } else if (has_previous) {
      value = samples.values[next - 1];
    }
    reference += references.step_ms;
  }
}

/// Fills the values of a column from those at the references, as TakeValues().
using Take = void (*)(const model::SampleColumns& samples,
                      const References& references, std::int64_t lookback_ms,
                      Column* out);

/// Takes one value for each step.
class SelectorMapper : public SeriesMapper {
 public:
  SelectorMapper(const Evaluation& evaluation, const VectorSelector& selector,
                 const StepGrid& grid, Take take, std::int64_t shift_ms,
                 Tally* tally)
      : selector_(selector),
        steps_(grid.count),
        references_(ReferencesOf(selector.time, grid)),
        shift_ms_(shift_ms),
        lookback_ms_(evaluation.settings().lookback_delta_ms),
        counts_only_(evaluation.CountsOnly(selector)),
        tell_steps_(evaluation.settings().tell_steps),
        take_(take),
        tally_(tally) {}

  absl::StatusOr<bool> Map(model::Labels& labels, model::SampleColumns& samples,
                           Column* out) override {
    if (counts_only_) KeepCounts(&samples);
    if (selector_.smoothed) DropStaleMarkers(&samples);
    out->values.resize(steps_);
    out->histograms.clear();
    if (selector_.smoothed && !samples.histograms.empty()) {
      TakeSmoothedHistograms(samples,
                             {references_.first_ms, references_.step_ms,
                              lookback_ms_, selector_.position},
                             labels.metric_name(), &tally_->annotations, out);
    } else {
      take_(samples, {references_.first_ms + shift_ms_, references_.step_ms},
            lookback_ms_, out);
    }
    const std::size_t present = SizeInSamples(*out);
    if (present == 0) return false;
    See(*out, present);
    tally_->stats.read += static_cast<std::int64_t>(present);
    // Whoever keeps the column counts it for longer.
    tally_->largest = std::max(tally_->largest, present);
    std::swap(out->labels, labels);
    out->drop_name = false;
    return true;
  }

 private:
  void See(const Column& column, std::size_t present) {
    SeenSamples& seen = tally_->stats.seen;
    if (!tell_steps_) {
      seen.total += static_cast<std::int64_t>(present);
      return;
    }
    for (std::size_t i = 0; i < steps_; ++i) {
      if (column.HasHistogram(i)) {
        seen.See(i, SizeInSamples(*column.histograms[i]), true);
      } else if (IsPresent(column.values[i])) {
        seen.See(i, 1, true);
      }
    }
  }

  const VectorSelector& selector_;
  const std::size_t steps_;
  const References references_;
  const std::int64_t shift_ms_;
  const std::int64_t lookback_ms_;
  const bool counts_only_;
  const bool tell_steps_;
  const Take take_;
  Tally* const tally_;
};

SeriesReading ReadingOf(const Evaluation& evaluation,
                        const VectorSelector& selector, const StepGrid& grid,
                        Take take, std::int64_t shift_ms) {
  const std::int64_t lookback_ms = evaluation.settings().lookback_delta_ms;
  const References references = ReferencesOf(selector.time, grid);
  SelectorReading reading;
  reading.range.min_ms = references.first_ms - lookback_ms + 1;
  reading.range.max_ms =
      references.first_ms +
      references.step_ms * static_cast<std::int64_t>(grid.count - 1);
  if (selector.smoothed) reading.range.max_ms += lookback_ms;
  reading.step_ms = grid.step_ms;
  const bool one_time = grid.count == 1 || references.step_ms == 0;
  reading.newest_only = one_time && !selector.smoothed;
  reading.steps = grid.count;
  return {&selector, reading, grid,
          [&evaluation, &selector, grid, take, shift_ms](Tally* tally) {
            return std::make_unique<SelectorMapper>(evaluation, selector, grid,
                                                    take, shift_ms, tally);
          }};
}

absl::Status SelectColumns(Evaluation& evaluation,
                           const VectorSelector& selector, const StepGrid& grid,
                           Take take, ColumnSink sink,
                           std::int64_t shift_ms = 0) {
  return evaluation.Map(ReadingOf(evaluation, selector, grid, take, shift_ms),
                        sink);
}

}  // namespace

References ReferencesOf(const TimeModifiers& time, const StepGrid& grid) {
  if (time.at == TimeModifiers::At::kNone) {
    return {grid.start_ms - time.offset_ms, grid.step_ms};
  }
  return {time.at_ms - time.offset_ms, 0};
}

SeriesReading ReadingOfSelector(const Evaluation& evaluation,
                                const VectorSelector& selector,
                                const StepGrid& grid) {
  return ReadingOf(evaluation, selector, grid,
                   selector.smoothed ? TakeSmoothed : TakeValues, 0);
}

absl::Status EvaluateSelector(Evaluation& evaluation,
                              const VectorSelector& selector,
                              const StepGrid& grid, ColumnSink sink) {
  return evaluation.Map(ReadingOfSelector(evaluation, selector, grid), sink);
}

namespace {

/// timestamp(x @ t offset d) looks at t, not at t - d, but only among the
/// samples that x reads for itself. So does Prometheus, up to 3.14 at least.
std::int64_t ShiftOfTimes(const TimeModifiers& time) {
  return time.at == TimeModifiers::At::kNone ? 0 : time.offset_ms;
}

}  // namespace

absl::Status EvaluateSelectorTimes(Evaluation& evaluation,
                                   const VectorSelector& selector,
                                   const StepGrid& grid, ColumnSink sink) {
  return SelectColumns(evaluation, selector, grid, TakeTimes<false>, sink,
                       ShiftOfTimes(selector.time));
}

absl::Status EvaluateSelectorFloatTimes(Evaluation& evaluation,
                                        const VectorSelector& selector,
                                        const StepGrid& grid, ColumnSink sink) {
  return SelectColumns(evaluation, selector, grid, TakeTimes<true>, sink);
}

absl::Status EvaluateSelectorStartTimes(Evaluation& evaluation,
                                        const VectorSelector& selector,
                                        const StepGrid& grid, ColumnSink sink) {
  return SelectColumns(evaluation, selector, grid, TakeStartTimes, sink,
                       ShiftOfTimes(selector.time));
}

}  // namespace narthex::promql
