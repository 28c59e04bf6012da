#include "libs/promql/step_counts.h"

#include <algorithm>
#include <utility>

#include "libs/promql/column.h"

namespace narthex::promql {
namespace {

// Up to this share of all steps they are kept one by one.
constexpr std::size_t kSparseShare = 4;

}  // namespace

bool StepCounts::Count(std::size_t step, std::size_t steps) {
  if (dense_.empty() && (entries_.size() + 1) * kSparseShare > steps) {
    dense_ = Take(steps);
  }
  if (!dense_.empty()) {
    double& count = dense_[step];
    const bool first = IsAbsent(count);
    count = first ? 1 : count + 1;
    return first;
  }
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), step,
                                   [](const Entry& entry, std::size_t wanted) {
                                     return entry.step < wanted;
                                   });
  if (at != entries_.end() && at->step == step) {
    at->count += 1;
    return false;
  }
  entries_.insert(at, {step, 1});
  return true;
}

std::vector<double> StepCounts::Take(std::size_t steps) {
  if (!dense_.empty()) return std::move(dense_);
  std::vector<double> values(steps, Absent());
  for (const Entry& entry : entries_) values[entry.step] = entry.count;
  std::vector<Entry>().swap(entries_);
  return values;
}

}  // namespace narthex::promql
