#include "libs/promql/script_load.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "libs/base/duration.h"
#include "libs/base/float_format.h"
#include "libs/base/status.h"
#include "libs/model/histogram_arithmetic.h"

namespace narthex::promql {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Takes a duration with an optional sign, such as -59999ms, off the front.
absl::StatusOr<std::int64_t> TakeDuration(absl::string_view* text) {
  const bool negative = absl::ConsumePrefix(text, "-");
  if (!negative) absl::ConsumePrefix(text, "+");
  const std::size_t length = std::min(text->size(), text->find_first_of("+-x"));
  NARTHEX_ASSIGN_OR_RETURN(
      const std::int64_t duration_ms,
      base::ParseDuration(std::string(text->substr(0, length))));
  text->remove_prefix(length);
  return negative ? -duration_ms : duration_ms;
}

absl::StatusOr<std::uint64_t> Repetitions(absl::string_view text) {
  std::uint64_t count = 0;
  if (text.empty()) return 0;
  if (!absl::ConsumePrefix(&text, "x") || !absl::SimpleAtoi(text, &count)) {
    return absl::InvalidArgumentError(
        absl::StrCat("malformed start times near ", text));
  }
  return count;
}

absl::Status AppendStarts(absl::string_view item, StartOffsets* starts) {
  if (absl::ConsumePrefix(&item, "_")) {
    NARTHEX_ASSIGN_OR_RETURN(const std::uint64_t count, Repetitions(item));
    starts->resize(starts->size() + std::max<std::uint64_t>(1, count));
    return absl::OkStatus();
  }
  NARTHEX_ASSIGN_OR_RETURN(std::int64_t offset_ms, TakeDuration(&item));
  std::int64_t step_ms = 0;
  if (!item.empty() && item[0] != 'x') {
    NARTHEX_ASSIGN_OR_RETURN(step_ms, TakeDuration(&item));
  }
  NARTHEX_ASSIGN_OR_RETURN(const std::uint64_t count, Repetitions(item));
  for (std::uint64_t i = 0; i <= count; ++i, offset_ms += step_ms) {
    starts->push_back(offset_ms);
  }
  return absl::OkStatus();
}

model::SampleColumns SamplesOf(const LoadCommand::Series& series,
                               std::int64_t step_ms) {
  const std::vector<SequenceValue>& values = series.description.values;
  model::SampleColumns samples;
  std::vector<std::int64_t> starts_ms;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::int64_t time_ms = static_cast<std::int64_t>(i) * step_ms;
    if (values[i].kind == SequenceValue::Kind::kOmitted) continue;
    if (values[i].kind == SequenceValue::Kind::kHistogram) {
      samples.Append(time_ms, values[i].histogram);
    } else {
      samples.Append(time_ms, values[i].value);
    }
    const bool known = i < series.starts.size() && series.starts[i].has_value();
    starts_ms.push_back(known ? time_ms + *series.starts[i] : 0);
  }
  if (!series.starts.empty()) samples.starts_ms = std::move(starts_ms);
  return samples;
}

/// A classic histogram at one time.
struct Classic {
  std::map<double, double> buckets;  // Cumulative counts by bound.
  std::optional<double> count;
  double sum = 0;
};

absl::StatusOr<model::FloatHistogram> ToNative(Classic classic) {
  if (!classic.count.has_value()) {
    classic.count =
        classic.buckets.empty() ? 0 : classic.buckets.rbegin()->second;
  }
  classic.buckets.try_emplace(kInfinity, *classic.count);
  model::FloatHistogram native;
  native.schema = model::kCustomBoundsSchema;
  native.count = *classic.count;
  native.sum = classic.sum;
  double below = 0;
  for (const auto& [bound, count] : classic.buckets) {
    if (count < below) {
      return absl::InvalidArgumentError(absl::StrCat(
          "bucket counts are not cumulative: ", count, " follows ", below));
    }
    if (bound != kInfinity) native.custom_bounds.push_back(bound);
    native.positive_buckets.push_back(count - below);
    below = count;
  }
  if (below != native.count) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the last bucket has ", below, " of ", native.count, " observations"));
  }
  native.positive_spans = {
      {0, static_cast<std::uint32_t>(native.positive_buckets.size())}};
  model::Compact(&native);
  return native;
}

/// Classic histograms by the labels of the native ones they become.
using ClassicSeries = std::map<model::Labels, std::map<std::int64_t, Classic>>;

/// Puts each float of a series where `take` wants it.
template <typename Take>
void Collate(const LoadedSeries& series, absl::string_view base_name,
             ClassicSeries* classic, const Take& take) {
  model::LabelsBuilder builder(series.labels);
  builder.Set(model::kMetricName, base_name).Del(model::kBucketLabel);
  std::map<std::int64_t, Classic>& by_time = (*classic)[builder.Build()];
  const model::SampleColumns& samples = series.samples;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (!samples.histograms.empty() && samples.histograms[i] != nullptr) {
      continue;
    }
    take(samples.values[i], &by_time[samples.timestamps_ms[i]]);
  }
}

absl::Status AddCustomBuckets(std::vector<LoadedSeries>* all) {
  ClassicSeries classic;
  for (const LoadedSeries& series : *all) {
    absl::string_view name = series.labels.metric_name();
    if (absl::ConsumeSuffix(&name, "_bucket")) {
      const auto bound =
          base::ParseFloat(series.labels.Get(model::kBucketLabel));
      if (!bound.ok() || std::isnan(*bound)) continue;
      Collate(series, name, &classic, [&](double value, Classic* at) {
        at->buckets.try_emplace(*bound, value);
      });
    } else if (absl::ConsumeSuffix(&name, "_count")) {
      Collate(series, name, &classic,
              [](double value, Classic* at) { at->count = value; });
    } else if (absl::ConsumeSuffix(&name, "_sum")) {
      Collate(series, name, &classic,
              [](double value, Classic* at) { at->sum = value; });
    }
  }
  for (auto& [labels, by_time] : classic) {
    LoadedSeries native;
    native.labels = labels;
    for (auto& [time_ms, histogram] : by_time) {
      NARTHEX_ASSIGN_OR_RETURN(model::FloatHistogram converted,
                               ToNative(std::move(histogram)));
      native.samples.Append(
          time_ms,
          std::make_shared<const model::FloatHistogram>(std::move(converted)));
    }
    all->push_back(std::move(native));
  }
  return absl::OkStatus();
}

bool IsGauge(const model::FloatHistogram& histogram) {
  return histogram.counter_reset == model::CounterReset::kGauge;
}

/// What a chunk says of a histogram, given the sample before it in the series
/// (null when that is none of the same chunk). That a chunk begins with a reset
/// is not told to readers, who may not have the chunk before.
model::CounterReset StoredReset(const model::FloatHistogram* previous,
                                const model::FloatHistogram& histogram) {
  using model::CounterReset;
  if (IsGauge(histogram)) return CounterReset::kGauge;
  if (histogram.counter_reset == CounterReset::kReset || previous == nullptr ||
      IsGauge(*previous) || histogram.schema != previous->schema ||
      histogram.zero_threshold != previous->zero_threshold ||
      histogram.custom_bounds != previous->custom_bounds) {
    return CounterReset::kUnknown;
  }
  model::FloatHistogram unmarked = histogram;
  unmarked.counter_reset = CounterReset::kUnknown;
  return model::DetectReset(*previous, unmarked) ? CounterReset::kUnknown
                                                 : CounterReset::kNotReset;
}

}  // namespace

absl::StatusOr<StartOffsets> ParseStartOffsets(absl::string_view text) {
  StartOffsets starts;
  for (const absl::string_view item :
       absl::StrSplit(text, absl::ByAnyChar(" \t"), absl::SkipEmpty())) {
    NARTHEX_RETURN_IF_ERROR(AppendStarts(item, &starts));
  }
  return starts;
}

absl::StatusOr<std::vector<LoadedSeries>> Expand(const LoadCommand& load) {
  std::vector<LoadedSeries> all;
  for (const LoadCommand::Series& series : load.series) {
    model::SampleColumns samples = SamplesOf(series, load.step_ms);
    if (samples.empty()) continue;
    all.push_back({series.description.labels, std::move(samples)});
  }
  if (load.with_custom_buckets) {
    NARTHEX_RETURN_IF_ERROR(AddCustomBuckets(&all));
  }
  return all;
}

void SetStoredCounterResets(model::SampleColumns* samples) {
  const model::FloatHistogram* previous = nullptr;
  for (auto& histogram : samples->histograms) {
    if (histogram == nullptr) {
      previous = nullptr;
      continue;
    }
    auto stored = std::make_shared<model::FloatHistogram>(*histogram);
    stored->counter_reset = StoredReset(previous, *histogram);
    histogram = std::move(stored);
    previous = histogram.get();
  }
}

}  // namespace narthex::promql
