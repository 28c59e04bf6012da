#include "libs/cluster/internal/push_queue.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/container/flat_hash_set.h"

namespace narthex::cluster::internal {
namespace {

bool HasSampleOf(const absl::flat_hash_set<storage::SeriesRef>& series,
                 const PushPart& part) {
  return !series.empty() &&
         std::any_of(part.samples.begin(), part.samples.end(),
                     [&series](const RefSample& one) {
                       return series.contains(one.ref);
                     });
}

}  // namespace

void PendingPush::Expect(std::size_t more) {
  base::MutexLock lock(mutex_);
  parts_ += more;
}

void PendingPush::Keep(const std::vector<storage::Rejection>& rejected) {
  base::MutexLock lock(mutex_);
  outcome_.rejected.insert(outcome_.rejected.end(), rejected.begin(),
                           rejected.end());
}

void PendingPush::Finish(const absl::Status& status,
                         const std::vector<storage::Rejection>& rejected) {
  Keep(rejected);
  PushOutcome outcome;
  {
    base::MutexLock lock(mutex_);
    outcome_.status.Update(status);
    if (--parts_ > 0) return;
    outcome = std::move(outcome_);
  }
  std::sort(outcome.rejected.begin(), outcome.rejected.end(),
            [](const auto& a, const auto& b) { return a.index < b.index; });
  done_(std::move(outcome));
}

bool PushQueue::Push(PushPart&& part) {
  base::MutexLock lock(mutex_);
  const std::size_t samples = part.weight();
  if (closed_ || (samples > 0 && samples_ + samples > max_samples_)) {
    return false;
  }
  samples_ += samples;
  queued_.Add(static_cast<double>(samples));
  parts_.push_back(std::move(part));
  if (samples_ >= wanted_) changed_.NotifyAll();
  return true;
}

void PushQueue::PutBack(std::vector<PushPart> parts) {
  base::MutexLock lock(mutex_);
  for (const PushPart& part : parts) {
    samples_ += part.weight();
    queued_.Add(static_cast<double>(part.weight()));
  }
  parts_.insert(parts_.begin(), std::make_move_iterator(parts.begin()),
                std::make_move_iterator(parts.end()));
  changed_.NotifyAll();
}

std::vector<PushPart> PushQueue::Take(std::size_t max_samples,
                                      std::chrono::milliseconds linger,
                                      std::chrono::milliseconds wait) {
  using Clock = std::chrono::steady_clock;
  base::MutexLock lock(mutex_);
  wanted_ = 0;
  const auto give_up = Clock::now() + wait;
  while (parts_.empty() && !woken_ && !closed_) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        give_up - Clock::now());
    if (left.count() <= 0) break;
    changed_.WaitFor(mutex_, left);
  }
  wanted_ = max_samples;
  const auto send_at = Clock::now() + linger;
  while (!parts_.empty() && samples_ < max_samples && !woken_ && !closed_) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        send_at - Clock::now());
    if (left.count() <= 0) break;
    changed_.WaitFor(mutex_, left);
  }
  woken_ = false;
  std::vector<PushPart> taken;
  std::size_t samples = 0;
  absl::flat_hash_set<storage::SeriesRef> with_histograms;
  while (!parts_.empty()) {
    const PushPart& next = parts_.front();
    const std::size_t more = next.weight();
    if (!taken.empty() && samples + more > max_samples) break;
    if (HasSampleOf(with_histograms, next)) break;
    if (!taken.empty() && (next.HasRules() || taken.back().HasRules())) break;
    for (const RefHistogram& one : next.histograms) {
      with_histograms.insert(one.ref);
    }
    samples += more;
    taken.push_back(std::move(parts_.front()));
    parts_.pop_front();
  }
  samples_ -= samples;
  queued_.Add(-static_cast<double>(samples));
  return taken;
}

void PushQueue::Wake() {
  base::MutexLock lock(mutex_);
  woken_ = true;
  changed_.NotifyAll();
}

std::vector<PushPart> PushQueue::Close() {
  base::MutexLock lock(mutex_);
  closed_ = true;
  std::vector<PushPart> left(std::make_move_iterator(parts_.begin()),
                             std::make_move_iterator(parts_.end()));
  parts_.clear();
  queued_.Add(-static_cast<double>(samples_));
  samples_ = 0;
  changed_.NotifyAll();
  return left;
}

}  // namespace narthex::cluster::internal
