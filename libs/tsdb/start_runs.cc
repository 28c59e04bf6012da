#include "libs/tsdb/start_runs.h"

#include <algorithm>

namespace narthex::tsdb {

void StartRuns::Note(std::int64_t timestamp_ms, std::int64_t start_ms) {
  if ((runs_.empty() ? 0 : runs_.back().start_ms) == start_ms) return;
  runs_.push_back({timestamp_ms, start_ms});
}

void StartRuns::Note(const model::SampleColumns& samples) {
  if (samples.starts_ms.empty() && runs_.empty()) return;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    Note(samples.timestamps_ms[i],
         samples.starts_ms.empty() ? 0 : samples.starts_ms[i]);
  }
}

std::vector<StartRuns::Run>::const_iterator StartRuns::After(
    std::int64_t timestamp_ms) const {
  return std::upper_bound(
      runs_.begin(), runs_.end(), timestamp_ms,
      [](std::int64_t time, const Run& run) { return time < run.from_ms; });
}

std::int64_t StartRuns::At(std::int64_t timestamp_ms) const {
  const auto after = After(timestamp_ms);
  return after == runs_.begin() ? 0 : (after - 1)->start_ms;
}

bool StartRuns::AnyWithin(std::int64_t min_ms, std::int64_t max_ms) const {
  if (At(min_ms) != 0) return true;
  return std::any_of(After(min_ms), After(max_ms),
                     [](const Run& run) { return run.start_ms != 0; });
}

void StartRuns::Fill(std::size_t before, model::SampleColumns* samples) const {
  const auto& times = samples->timestamps_ms;
  if (before == times.size()) return;
  if (samples->starts_ms.empty() && !AnyWithin(times[before], times.back())) {
    return;
  }
  samples->starts_ms.resize(times.size());
  auto next = After(times[before]);
  for (std::size_t i = before; i < times.size(); ++i) {
    while (next != runs_.end() && next->from_ms <= times[i]) ++next;
    samples->starts_ms[i] = next == runs_.begin() ? 0 : (next - 1)->start_ms;
  }
}

void StartRuns::Truncate(std::int64_t min_ms) {
  const auto after = After(min_ms);
  if (after == runs_.begin()) return;
  // The one before is that of the first sample that is left, if it is known.
  auto keep = after - 1;
  if (keep->start_ms == 0) ++keep;
  runs_.erase(runs_.begin(), keep);
  if (runs_.empty()) runs_.shrink_to_fit();
}

}  // namespace narthex::tsdb
