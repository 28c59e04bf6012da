#include "libs/cluster/internal/push_queue.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "libs/base/clock.h"
#include "narthex/v1/ingester.pb.h"

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

void EncodeParts(const std::vector<PushPart>& parts, StreamId stream,
                 SeriesTable& series, v1::PushRequest* request) {
  PushEncoder encoder(request);
  for (const PushPart& part : parts) {
    series.DeclareOn(stream, part, request);
    encoder.Add(part.samples);
    if (!part.starts.empty()) encoder.AddStarts(part.starts);
    EncodeOthers(part, request);
    if (part.resent) request->set_resent(true);
    // What came through the first time would be refused as out of order.
    if (part.all_or_none && !part.resent) request->set_all_or_none(true);
    if (part.in_order_only) request->set_in_order_only(true);
  }
  encoder.Finish();
}

bool PushQueue::Push(PushPart&& part) {
  base::MutexLock lock(mutex_);
  const std::size_t samples = part.weight();
  if (closed_ || samples_ + samples > max_samples_) return false;
  samples_ += samples;
  queued_.Add(static_cast<double>(samples));
  if (part.queued_ns == 0) {
    part.queued_ns = base::Clock::System().MonotonicNs();
  }
  parts_.push_back(std::move(part));
  if (samples_ >= wanted_) changed_.NotifyAll();
  return true;
}

void PushQueue::PutBack(std::vector<PushPart> parts) {
  base::MutexLock lock(mutex_);
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    samples_ += part->weight();
    queued_.Add(static_cast<double>(part->weight()));
    (part->urgent ? urgent_ : parts_).push_front(std::move(*part));
  }
  changed_.NotifyAll();
}

void PushQueue::PutUrgent(std::vector<PushPart> parts) {
  base::MutexLock lock(mutex_);
  for (PushPart& part : parts) {
    samples_ += part.weight();
    queued_.Add(static_cast<double>(part.weight()));
    part.urgent = true;
    urgent_.push_back(std::move(part));
  }
  changed_.NotifyAll();
}

void PushQueue::WaitForWork(std::chrono::milliseconds wait) {
  using Clock = std::chrono::steady_clock;
  wanted_ = 0;
  const auto give_up = Clock::now() + wait;
  while (!HasParts() && !woken_ && !closed_) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        give_up - Clock::now());
    if (left.count() <= 0) break;
    changed_.WaitFor(mutex_, left);
  }
}

bool PushQueue::WaitForParts(std::chrono::milliseconds wait) {
  base::MutexLock lock(mutex_);
  WaitForWork(wait);
  woken_ = false;
  return HasParts();
}

std::vector<PushPart> PushQueue::Take(std::size_t max_samples,
                                      std::chrono::milliseconds linger,
                                      std::chrono::milliseconds wait) {
  using Clock = std::chrono::steady_clock;
  base::MutexLock lock(mutex_);
  WaitForWork(wait);
  wanted_ = max_samples;
  const auto send_at = Clock::now() + linger;
  while (!parts_.empty() && urgent_.empty() && !diverted_ &&
         samples_ < max_samples && !woken_ && !closed_) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        send_at - Clock::now());
    if (left.count() <= 0) break;
    changed_.WaitFor(mutex_, left);
  }
  woken_ = false;
  if (!urgent_.empty()) return TakeGroup(urgent_, max_samples);
  if (diverted_) return {};
  return TakeGroup(parts_, max_samples);
}

std::vector<PushPart> PushQueue::TakeGroup(std::deque<PushPart>& from,
                                           std::size_t max_samples) {
  std::vector<PushPart> taken;
  std::size_t samples = 0;
  absl::flat_hash_set<storage::SeriesRef> with_histograms;
  while (!from.empty()) {
    const PushPart& next = from.front();
    const std::size_t more = next.weight();
    if (!taken.empty() && samples + more > max_samples) break;
    if (HasSampleOf(with_histograms, next)) break;
    if (!taken.empty() && (next.HasRules() || taken.back().HasRules() ||
                           next.resent != taken.back().resent)) {
      break;
    }
    for (const RefHistogram& one : next.histograms) {
      with_histograms.insert(one.ref);
    }
    samples += more;
    taken.push_back(std::move(from.front()));
    from.pop_front();
  }
  samples_ -= samples;
  queued_.Add(-static_cast<double>(samples));
  return taken;
}

std::vector<PushPart> PushQueue::TakeUrgent(std::size_t max_samples) {
  base::MutexLock lock(mutex_);
  return TakeGroup(urgent_, max_samples);
}

std::vector<PushPart> PushQueue::TakeDiverted(std::size_t max_samples) {
  base::MutexLock lock(mutex_);
  if (!diverted_) return {};
  return TakeGroup(parts_, max_samples);
}

std::optional<PushPart> PushQueue::TakeOldest() {
  base::MutexLock lock(mutex_);
  std::deque<PushPart>& from = urgent_.empty() ? parts_ : urgent_;
  if (from.empty()) return std::nullopt;
  PushPart oldest = std::move(from.front());
  from.pop_front();
  samples_ -= oldest.weight();
  queued_.Add(-static_cast<double>(oldest.weight()));
  return oldest;
}

void PushQueue::Divert() {
  base::MutexLock lock(mutex_);
  diverted_ = true;
}

void PushQueue::DivertAll() {
  base::MutexLock lock(mutex_);
  diverted_ = true;
  for (PushPart& part : urgent_) part.urgent = false;
  parts_.insert(parts_.begin(), std::make_move_iterator(urgent_.begin()),
                std::make_move_iterator(urgent_.end()));
  urgent_.clear();
}

void PushQueue::Resume() {
  base::MutexLock lock(mutex_);
  diverted_ = false;
}

bool PushQueue::diverted() const {
  base::ReaderMutexLock lock(mutex_);
  return diverted_;
}

std::size_t PushQueue::weight() const {
  base::ReaderMutexLock lock(mutex_);
  return samples_;
}

std::int64_t PushQueue::oldest_ns() const {
  base::ReaderMutexLock lock(mutex_);
  for (const std::deque<PushPart>* parts : {&urgent_, &parts_}) {
    if (parts->empty() || parts->front().queued_ns == 0) continue;
    return parts->front().queued_ns;
  }
  return 0;
}

void PushQueue::Wake() {
  base::MutexLock lock(mutex_);
  woken_ = true;
  changed_.NotifyAll();
}

std::vector<PushPart> PushQueue::Close() {
  base::MutexLock lock(mutex_);
  closed_ = true;
  std::vector<PushPart> left(std::make_move_iterator(urgent_.begin()),
                             std::make_move_iterator(urgent_.end()));
  left.insert(left.end(), std::make_move_iterator(parts_.begin()),
              std::make_move_iterator(parts_.end()));
  urgent_.clear();
  parts_.clear();
  queued_.Add(-static_cast<double>(samples_));
  samples_ = 0;
  changed_.NotifyAll();
  return left;
}

}  // namespace narthex::cluster::internal
