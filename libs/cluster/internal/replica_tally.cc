#include "libs/cluster/internal/replica_tally.h"

#include <utility>

namespace narthex::cluster::internal {

ReplicaTally::ReplicaTally(std::size_t size, std::size_t replicas,
                           std::size_t parts,
                           std::function<void(PushOutcome)> done,
                           std::function<void()> settled)
    : replicas_(replicas),
      majority_(MajorityOf(replicas)),
      parts_(parts),
      done_(std::move(done)),
      settled_(std::move(settled)),
      samples_(size),
      undecided_(size) {}

bool ReplicaTally::IsDecided(const Sample& sample) const {
  return sample.taken >= majority_ || sample.refused >= majority_ ||
         sample.failed > replicas_ - majority_ ||
         std::size_t{sample.taken} + sample.refused + sample.failed >=
             replicas_;
}

void ReplicaTally::Answer(std::size_t size,
                          const std::vector<std::uint32_t>& positions,
                          const PushOutcome& outcome) {
  PushOutcome report;
  bool is_known = false;
  bool is_settled = false;
  {
    base::MutexLock lock(mutex_);
    first_error_.Update(outcome.status);
    auto rejected = outcome.rejected.begin();
    for (std::size_t i = 0; i < size; ++i) {
      const std::size_t index = positions.empty() ? i : positions[i];
      Sample& sample = samples_[index];
      const bool was_decided = IsDecided(sample);
      while (rejected != outcome.rejected.end() && rejected->index < index) {
        ++rejected;
      }
      if (rejected != outcome.rejected.end() && rejected->index == index) {
        if (sample.refused++ == 0) sample.reason = rejected->reason;
      } else if (outcome.status.ok()) {
        ++sample.taken;
      } else {
        ++sample.failed;
      }
      if (!was_decided && IsDecided(sample)) --undecided_;
    }
    is_settled = ++answered_ == parts_;
    is_known = IsKnown() && !std::exchange(reported_, true);
    if (is_known) report = Outcome();
  }
  if (is_known) done_(std::move(report));
  if (is_settled) settled_();
}

bool ReplicaTally::IsKnown() const {
  if (reported_ || undecided_ > 0) return false;
  // Metadata only: nobody asks which of it is where.
  return !samples_.empty() || answered_ + replicas_ >= parts_ + majority_;
}

PushOutcome ReplicaTally::Outcome() const {
  PushOutcome outcome;
  for (std::size_t i = 0; i < samples_.size(); ++i) {
    const Sample& sample = samples_[i];
    if (sample.taken >= majority_) continue;
    // What a replica may take when it is tried again is not refused yet.
    if (sample.refused < majority_ && sample.failed > 0) {
      outcome.status = first_error_;
    } else {
      outcome.rejected.push_back({i, sample.reason});
    }
  }
  return outcome;
}

}  // namespace narthex::cluster::internal
