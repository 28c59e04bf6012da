#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "libs/base/mutex.h"
#include "libs/cluster/internal/series_table.h"
#include "libs/cluster/writer.h"
#include "libs/metrics/metrics.h"

namespace narthex::v1 {
class PushRequest;
}  // namespace narthex::v1

namespace narthex::cluster::internal {

/// Collects what becomes of the parts of one batch and reports once.
class PendingPush {
 public:
  PendingPush(std::size_t parts, std::function<void(PushOutcome)> done)
      : parts_(parts), done_(std::move(done)) {}

  /// `more` further parts are to be settled.
  void Expect(std::size_t more) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Some samples are rejected for good while others of their part are tried
  /// again.
  void Keep(const std::vector<storage::Rejection>& rejected)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// One part is settled. The first error wins.
  void Finish(const absl::Status& status,
              const std::vector<storage::Rejection>& rejected)
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  base::Mutex mutex_;
  std::size_t parts_ ABSL_GUARDED_BY(mutex_);
  PushOutcome outcome_ ABSL_GUARDED_BY(mutex_);
  std::function<void(PushOutcome)> done_;
};

/// The share of a batch that one ingester gets.
struct PushPart : PushBatch {
  /// Where each of what is numbered stands in the batch; empty: the part is
  /// the batch.
  std::vector<std::uint32_t> positions;
  std::shared_ptr<PendingPush> pending;  // Null: nobody waits for it.
  /// It was under way when a stream broke.
  bool resent = false;
  /// Its series were declared a second time already.
  bool redeclared = false;
  /// It overtakes what waits: it belongs before that.
  bool urgent = false;
  /// Keeps its references declared: its epoch or, when it was read from disk,
  /// the series of its segment.
  std::shared_ptr<const void> declared;
  /// When it first came into a queue, on base::Clock::MonotonicNs(); 0 when it
  /// was read from disk.
  std::int64_t queued_ns = 0;

  /// Takes over what any share of `whole` has in common with it.
  void TakeOriginOf(const PushPart& whole) {
    TakeRulesOf(whole);
    resent = whole.resent;
    declared = whole.declared;
    queued_ns = whole.queued_ns;
  }

  std::size_t PositionOf(std::size_t index) const {
    return positions.empty() ? index : positions[index];
  }

  /// Hands what is numbered and the metadata, one after the other, to
  /// `part_of(reference)`, with its position.
  template <typename PartOf>
  void ShareOut(const PartOf& part_of) &&;
  /// Likewise, a copy to each of the parts that `parts_of(reference)` lists.
  template <typename PartsOf>
  void CopyOut(const PartsOf& parts_of) const;
};

template <typename PartOf>
void PushPart::ShareOut(const PartOf& part_of) && {
  std::size_t index = 0;
  const auto note = [&](PushPart& part) {
    part.positions.push_back(static_cast<std::uint32_t>(PositionOf(index++)));
  };
  StartReader start_times(starts);
  for (const RefSample& one : samples) {
    PushPart& part = part_of(one.ref);
    part.samples.push_back(one);
    if (const RefStart* start = start_times.Of(one)) {
      part.starts.push_back(*start);
    }
    note(part);
  }
  for (RefHistogram& one : histograms) {
    PushPart& part = part_of(one.ref);
    part.histograms.push_back(std::move(one));
    note(part);
  }
  for (RefExemplar& one : exemplars) {
    PushPart& part = part_of(one.ref);
    part.exemplars.push_back(std::move(one));
    note(part);
  }
  for (RefMetadata& one : metadata) {
    PushPart& part = part_of(one.ref);
    part.metadata.push_back(std::move(one));
  }
}

template <typename PartsOf>
void PushPart::CopyOut(const PartsOf& parts_of) const {
  std::size_t index = 0;
  const auto copy = [&](const auto& one, auto PushBatch::*to) {
    const auto position = static_cast<std::uint32_t>(PositionOf(index++));
    for (PushPart* const part : parts_of(one.ref)) {
      (part->*to).push_back(one);
      part->positions.push_back(position);
    }
  };
  StartReader start_times(starts);
  for (const RefSample& one : samples) {
    copy(one, &PushBatch::samples);
    const RefStart* const start = start_times.Of(one);
    if (start == nullptr) continue;
    for (PushPart* const part : parts_of(one.ref)) {
      part->starts.push_back(*start);
    }
  }
  for (const RefHistogram& one : histograms) copy(one, &PushBatch::histograms);
  for (const RefExemplar& one : exemplars) copy(one, &PushBatch::exemplars);
  for (const RefMetadata& one : metadata) {
    for (PushPart* const part : parts_of(one.ref)) {
      part->metadata.push_back(one);
    }
  }
}

/// Puts parts into a request; series that were not declared on `stream` yet
/// are declared first.
void EncodeParts(const std::vector<PushPart>& parts, StreamId stream,
                 SeriesTable& series, v1::PushRequest* request);

/// Parts that wait in memory for one ingester, first in, first out. A queue
/// can be diverted: then what waits is not sent from here but goes to disk,
/// behind what is there already. Thread-safe.
class PushQueue {
 public:
  /// Adds the samples that wait here to `queued`, which outlives the queue.
  PushQueue(std::size_t max_samples, metrics::Gauge& queued)
      : max_samples_(max_samples), queued_(queued) {}

  /// False, and `part` untouched, when it would exceed the limit or the queue
  /// is closed.
  bool Push(PushPart&& part) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Puts parts back to the front, in their order, over any limit; urgent ones
  /// to the front of those.
  void PutBack(std::vector<PushPart> parts) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Adds parts that overtake all others, diverted or not, over any limit.
  void PutUrgent(std::vector<PushPart> parts) ABSL_LOCKS_EXCLUDED(mutex_);

  /// Takes parts of `max_samples` (by weight) together, at least one, that
  /// keep the order of each series when what is no sample comes after all
  /// samples; one with rules of its own comes alone, and those that were sent
  /// before do not mix with others. Waits up to
  /// `linger` for more when there are fewer, and up to `wait` for the first;
  /// returns none when that passes or Wake() is called. Urgent parts come
  /// first, by themselves.
  std::vector<PushPart> Take(std::size_t max_samples,
                             std::chrono::milliseconds linger,
                             std::chrono::milliseconds wait)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// Takes urgent parts only, without waiting.
  std::vector<PushPart> TakeUrgent(std::size_t max_samples)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// Whether Take() would give something; waits up to `wait` for that.
  bool WaitForParts(std::chrono::milliseconds wait) ABSL_LOCKS_EXCLUDED(mutex_);

  /// From now on Take() gives urgent parts only.
  void Divert() ABSL_LOCKS_EXCLUDED(mutex_);
  /// Likewise, and what is urgent is diverted before all else.
  void DivertAll() ABSL_LOCKS_EXCLUDED(mutex_);
  void Resume() ABSL_LOCKS_EXCLUDED(mutex_);
  bool diverted() const ABSL_LOCKS_EXCLUDED(mutex_);
  /// Like Take() for what is diverted, without waiting.
  std::vector<PushPart> TakeDiverted(std::size_t max_samples)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// Takes one part, urgent or diverted or not, without waiting.
  std::optional<PushPart> TakeOldest() ABSL_LOCKS_EXCLUDED(mutex_);
  /// What waits, by weight, and since when the oldest part of it that was not
  /// read from disk has (0: there is none).
  std::size_t weight() const ABSL_LOCKS_EXCLUDED(mutex_);
  std::int64_t oldest_ns() const ABSL_LOCKS_EXCLUDED(mutex_);

  /// Ends a running Take() early.
  void Wake() ABSL_LOCKS_EXCLUDED(mutex_);
  /// Refuses further parts and returns those left.
  std::vector<PushPart> Close() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // Whether Take() has something to give.
  bool HasParts() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return !urgent_.empty() || (!diverted_ && !parts_.empty());
  }
  void WaitForWork(std::chrono::milliseconds wait)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::vector<PushPart> TakeGroup(std::deque<PushPart>& from,
                                  std::size_t max_samples)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::size_t max_samples_;
  metrics::Gauge& queued_;
  mutable base::Mutex mutex_;
  base::CondVar changed_;
  std::deque<PushPart> parts_ ABSL_GUARDED_BY(mutex_);
  std::deque<PushPart> urgent_ ABSL_GUARDED_BY(mutex_);
  bool diverted_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  std::size_t samples_ ABSL_GUARDED_BY(mutex_) = 0;
  // Whoever takes waits until so many are here: to be woken for each would
  // cost more than to send them.
  std::size_t wanted_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace narthex::cluster::internal
