#include "libs/storage/memory_storage.h"

#include <algorithm>
#include <set>
#include <utility>

#include "libs/storage/merge.h"
#include "libs/storage/series_set.h"

namespace narthex::storage {
namespace {

/// The positions [begin, end) of the samples within a range.
std::pair<std::size_t, std::size_t> Within(const model::SampleColumns& samples,
                                           const TimeRange& range) {
  const auto& times = samples.timestamps_ms;
  const auto begin = std::lower_bound(times.begin(), times.end(), range.min_ms);
  const auto end = std::upper_bound(begin, times.end(), range.max_ms);
  return {static_cast<std::size_t>(begin - times.begin()),
          static_cast<std::size_t>(end - times.begin())};
}

bool MatchesAny(const std::vector<std::vector<model::Matcher>>& sets,
                const model::Labels& labels) {
  if (sets.empty()) return true;
  return std::any_of(sets.begin(), sets.end(), [&](const auto& matchers) {
    return model::MatchesAll(matchers, labels);
  });
}

class MemorySeries : public Series {
 public:
  MemorySeries(model::Labels labels,
               std::shared_ptr<const model::SampleColumns> samples,
               TimeRange range)
      : labels_(std::move(labels)),
        samples_(std::move(samples)),
        range_(range) {}

  const model::Labels& labels() const override { return labels_; }

  absl::Status Read(model::SampleColumns* out) const override {
    const auto [begin, end] = Within(*samples_, range_);
    out->AppendRange(*samples_, begin, end);
    return absl::OkStatus();
  }

 private:
  const model::Labels labels_;
  const std::shared_ptr<const model::SampleColumns> samples_;
  const TimeRange range_;
};

std::vector<std::string> Limited(std::set<std::string> names,
                                 std::size_t limit) {
  std::vector<std::string> list(names.begin(), names.end());
  if (limit != 0 && list.size() > limit) list.resize(limit);
  return list;
}

}  // namespace

void MemoryStorage::Add(const model::Labels& labels,
                        const model::SampleColumns& samples) {
  base::MutexLock lock(mutex_);
  Columns& held = series_[labels];
  model::SampleColumns merged;
  if (held != nullptr) merged = *held;
  MergeColumns(samples, &merged);
  held = std::make_shared<const model::SampleColumns>(std::move(merged));
}

void MemoryStorage::Clear() {
  base::MutexLock lock(mutex_);
  series_.clear();
}

absl::StatusOr<std::unique_ptr<SeriesSet>> MemoryStorage::Select(
    const SelectHints& hints, const std::vector<model::Matcher>& matchers) {
  std::vector<std::unique_ptr<Series>> selected;
  base::ReaderMutexLock lock(mutex_);
  for (const auto& [labels, samples] : series_) {
    if (!model::MatchesAll(matchers, labels)) continue;
    const auto [begin, end] = Within(*samples, hints.range);
    if (begin == end) continue;
    selected.push_back(
        std::make_unique<MemorySeries>(labels, samples, hints.range));
  }
  return ListSeries(std::move(selected));
}

absl::StatusOr<std::vector<std::string>> MemoryStorage::LabelNames(
    const TimeRange& range,
    const std::vector<std::vector<model::Matcher>>& matcher_sets,
    std::size_t limit) {
  std::set<std::string> names;
  base::ReaderMutexLock lock(mutex_);
  for (const auto& [labels, samples] : series_) {
    const auto [begin, end] = Within(*samples, range);
    if (begin == end || !MatchesAny(matcher_sets, labels)) continue;
    for (const model::Label& label : labels) names.emplace(label.name);
  }
  return Limited(std::move(names), limit);
}

absl::StatusOr<std::vector<std::string>> MemoryStorage::LabelValues(
    const std::string& name, const TimeRange& range,
    const std::vector<std::vector<model::Matcher>>& matcher_sets,
    std::size_t limit) {
  std::set<std::string> values;
  base::ReaderMutexLock lock(mutex_);
  for (const auto& [labels, samples] : series_) {
    const auto [begin, end] = Within(*samples, range);
    if (begin == end || !MatchesAny(matcher_sets, labels)) continue;
    if (labels.Has(name)) values.emplace(labels.Get(name));
  }
  return Limited(std::move(values), limit);
}

}  // namespace narthex::storage
