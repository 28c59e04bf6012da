#include "libs/promql/column.h"

#include <utility>

namespace narthex::promql {

std::size_t CountPresent(const std::vector<double>& values) {
  std::size_t count = 0;
  for (const double value : values) count += IsPresent(value) ? 1 : 0;
  return count;
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
  std::vector<double>& into = columns_[it->second].values;
  for (std::size_t i = 0; i < into.size(); ++i) {
    if (IsAbsent(column.values[i])) continue;
    if (IsPresent(into[i])) return RepeatedLabelsError();
    into[i] = column.values[i];
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
