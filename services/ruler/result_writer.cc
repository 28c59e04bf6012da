#include "services/ruler/result_writer.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "libs/model/sample.h"

namespace narthex::ruler {

namespace {

/// Positions in `batch` in the order in which a push numbers them: floats, then
/// histograms.
std::vector<std::size_t> PushOrder(
    const std::vector<rules::ResultSample>& batch) {
  std::vector<std::size_t> order(batch.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_partition(order.begin(), order.end(), [&](std::size_t i) {
    return batch[i].histogram == nullptr;
  });
  return order;
}

}  // namespace

cluster::PushBatch ResultWriter::Name(
    const std::vector<rules::ResultSample>& batch) {
  cluster::PushBatch named;
  named.samples.reserve(batch.size());
  base::MutexLock lock(mutex_);
  for (const rules::ResultSample& sample : batch) {
    Series& series = series_[sample.labels];
    if (series.ref == 0) series.ref = writer_.Declare(sample.labels);
    ++series.under_way;
    series.ended = model::IsStaleNan(sample.value);
    if (sample.histogram != nullptr) {
      named.histograms.push_back(
          {series.ref, sample.timestamp_ms, {nullptr, sample.histogram}});
    } else {
      named.samples.push_back({series.ref, sample.timestamp_ms, sample.value});
    }
  }
  return named;
}

void ResultWriter::Forget(const std::vector<rules::ResultSample>& batch) {
  std::vector<storage::SeriesRef> released;
  {
    base::MutexLock lock(mutex_);
    for (const rules::ResultSample& sample : batch) {
      const auto it = series_.find(sample.labels);
      if (--it->second.under_way > 0 || !it->second.ended) continue;
      released.push_back(it->second.ref);
      series_.erase(it);
    }
  }
  if (!released.empty()) writer_.Release(released);
}

absl::StatusOr<std::vector<storage::Rejection>> ResultWriter::Append(
    const std::vector<rules::ResultSample>& batch) {
  cluster::PushBatch push = Name(batch);
  // As in Prometheus: what is late has been evaluated by someone else.
  push.in_order_only = true;
  cluster::PushOutcome outcome = writer_.PushAndWait(std::move(push), timeout_);
  Forget(batch);
  if (!outcome.status.ok()) return outcome.status;
  const std::vector<std::size_t> order = PushOrder(batch);
  for (storage::Rejection& rejection : outcome.rejected) {
    if (rejection.index < order.size()) {
      rejection.index = order[rejection.index];
    }
  }
  return std::move(outcome.rejected);
}

std::size_t ResultWriter::series() const {
  base::ReaderMutexLock lock(mutex_);
  return series_.size();
}

}  // namespace narthex::ruler
