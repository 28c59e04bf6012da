#include "libs/promql/column.h"

#include <algorithm>
#include <utility>

namespace narthex::promql {

std::size_t CountPresent(const std::vector<double>& values) {
  std::size_t count = 0;
  for (const double value : values) count += IsPresent(value) ? 1 : 0;
  return count;
}

bool Column::HasHistograms() const {
  return std::any_of(histograms.begin(), histograms.end(),
                     [](const auto& h) { return h != nullptr; });
}

void Column::SetHistogram(std::size_t step, model::HistogramPtr histogram) {
  histograms.resize(values.size());
  histograms[step] = std::move(histogram);
  values[step] = Absent();
}

void Column::Copy(const Column& other, std::size_t step) {
  if (other.HasHistogram(step)) {
    SetHistogram(step, other.histograms[step]);
    return;
  }
  values[step] = other.values[step];
  if (!histograms.empty()) histograms[step] = nullptr;
}

void Column::Erase(std::size_t step) {
  values[step] = Absent();
  if (!histograms.empty()) histograms[step] = nullptr;
}

std::size_t CountPresent(const Column& column) {
  std::size_t count = CountPresent(column.values);
  for (const auto& histogram : column.histograms) {
    count += histogram != nullptr ? 1 : 0;
  }
  return count;
}

std::size_t SizeInSamples(const model::FloatHistogram& histogram) {
  // As Prometheus counts: its structure, the slices and the time, in units of
  // a float with its time.
  constexpr std::size_t kStructure = 168;
  constexpr std::size_t kFloatAndTime = 16;
  const std::size_t bytes =
      kStructure +
      8 * (histogram.positive_spans.size() + histogram.negative_spans.size() +
           histogram.positive_buckets.size() +
           histogram.negative_buckets.size() + histogram.custom_bounds.size());
  return (bytes + 8) / kFloatAndTime;
}

std::size_t SizeInSamples(const Column& column) {
  std::size_t size = CountPresent(column.values);
  for (const auto& histogram : column.histograms) {
    if (histogram != nullptr) size += SizeInSamples(*histogram);
  }
  return size;
}

std::size_t SizeInSamples(const model::SampleColumns& samples) {
  std::size_t size = samples.size();
  for (const auto& histogram : samples.histograms) {
    if (histogram != nullptr) size += SizeInSamples(*histogram) - 1;
  }
  return size;
}

bool DropHistograms(Column* column) {
  if (column->histograms.empty()) return true;
  column->histograms.clear();
  return CountPresent(column->values) > 0;
}

absl::Status RepeatedLabelsError() {
  return absl::FailedPreconditionError(
      "vector cannot contain metrics with the same labelset");
}

Column& ColumnMerger::Get(const model::Labels& labels, bool drop_name,
                          std::size_t steps) {
  const auto [it, is_new] = index_.try_emplace(labels, columns_.size());
  if (is_new) {
    columns_.push_back(
        {labels, drop_name, std::vector<double>(steps, Absent())});
  }
  return columns_[it->second];
}

absl::Status ColumnMerger::Add(Column& column) {
  const auto [it, is_new] = index_.try_emplace(column.labels, columns_.size());
  if (is_new) {
    columns_.push_back(std::move(column));
    return absl::OkStatus();
  }
  Column& into = columns_[it->second];
  for (std::size_t i = 0; i < into.values.size(); ++i) {
    if (!column.Has(i)) continue;
    if (into.Has(i)) return RepeatedLabelsError();
    into.Copy(column, i);
  }
  return absl::OkStatus();
}

model::Labels WithoutMetadata(const model::Labels& labels) {
  if (!HasTypeOrUnit(labels)) return labels.WithoutName();
  model::LabelsBuilder builder(labels);
  builder.Del(model::kMetricName).Del("__type__").Del("__unit__");
  return builder.Build();
}

bool HasTypeOrUnit(const model::Labels& labels) {
  // Labels are sorted and both names begin with two underscores, so the walk
  // ends at the first ordinary label that sorts behind them.
  for (const model::Label& label : labels) {
    if (label.name == "__type__" || label.name == "__unit__") return true;
    if (label.name > absl::string_view("__unit__")) return false;
  }
  return false;
}

}  // namespace narthex::promql
