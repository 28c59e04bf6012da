// The part of a PushClient that moves what waits too long to disk.
#include <algorithm>
#include <utility>

#include "libs/cluster/internal/push_client.h"

namespace narthex::cluster::internal {
namespace {

// What a power cut takes at most of what was on its way to disk.
constexpr std::chrono::milliseconds kSyncEvery{1'000};

// Tells those who wait for parts that these are safe on disk.
void Finish(const std::vector<PushPart>& parts) {
  for (const PushPart& part : parts) {
    if (part.pending) part.pending->Finish(absl::OkStatus(), {});
  }
}

}  // namespace

bool PushClient::ShouldSpill() const {
  if (held_ || queue_.diverted() ||
      queue_.weight() > options_.max_queued_samples / 2) {
    return true;
  }
  const std::int64_t since_ns =
      base::Clock::System().MonotonicNs() -
      std::chrono::nanoseconds(options_.spill_after).count();
  const std::int64_t oldest_ns = queue_.oldest_ns();
  if (oldest_ns != 0 && oldest_ns < since_ns) return true;
  base::ReaderMutexLock lock(mutex_);
  return !under_way_.empty() && under_way_.front().sent_ns < since_ns;
}

void PushClient::Spill() {
  if (spool_ == nullptr) return;
  spool_->DropExpired();
  SpillNow();
  const std::int64_t now_ns = base::Clock::System().MonotonicNs();
  if (now_ns < sync_at_ns_) return;
  spool_->Sync();
  sync_at_ns_ = now_ns + std::chrono::nanoseconds(kSyncEvery).count();
}

void PushClient::SpillNow() {
  if (!ShouldSpill()) return;
  base::MutexLock order(order_mutex_);
  if (!std::exchange(spilling_, true)) {
    log_.Warn("samples wait on disk for the ingester",
              {{"directory", spool_->directory()}});
  }
  if (!SpillUnderWay()) return;
  queue_.Divert();
  SpillWaiting();
}

// On disk it comes before anything that waits, and is passed over there as
// long as an answer may come.
bool PushClient::SpillUnderWay() {
  // What is urgent stays in memory: on disk it would come too late.
  const auto to_spill = [](const Message& message) {
    return !message.on_disk.has_value() && !message.parts.front().urgent;
  };
  while (true) {
    std::uint64_t batch = 0;
    // Copied, as the answer may come while they are written.
    std::vector<PushPart> parts;
    {
      base::MutexLock lock(mutex_);
      const auto next =
          std::find_if(under_way_.begin(), under_way_.end(), to_spill);
      if (next == under_way_.end()) return true;
      batch = next->batch;
      parts = next->parts;
    }
    const auto end = spool_->Append(lane_, parts);
    NoteSpilling(end.status());
    if (!end.ok()) return false;
    spool_->PassTo(*end);
    if (NoteOnDisk(batch, *end)) {
      Finish(parts);
    } else {
      spool_->Commit(*end);
    }
  }
}

bool PushClient::NoteOnDisk(std::uint64_t batch, DiskPosition end) {
  base::MutexLock lock(mutex_);
  const auto found =
      std::find_if(under_way_.begin(), under_way_.end(),
                   [batch](const Message& one) { return one.batch == batch; });
  if (found == under_way_.end()) return false;
  found->on_disk = end;
  for (PushPart& part : found->parts) part.pending.reset();
  return true;
}

bool PushClient::SpillWaiting() {
  while (true) {
    std::vector<PushPart> parts =
        queue_.TakeDiverted(options_.max_batch_samples);
    if (parts.empty()) return true;
    const absl::Status status = spool_->Append(lane_, parts).status();
    NoteSpilling(status);
    if (!status.ok()) {
      queue_.PutBack(std::move(parts));
      return false;
    }
    Finish(parts);
  }
}

void PushClient::NoteSpilling(const absl::Status& status) {
  if (status.ok()) {
    spill_failed_ = false;
  } else if (!std::exchange(spill_failed_, true)) {
    log_.Error("writing samples to disk, they wait in memory",
               {{"err", status.ToString()}});
  }
}

}  // namespace narthex::cluster::internal
