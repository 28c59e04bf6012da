// The part of a Writer that keeps the queues on disk.
#include <chrono>
#include <set>
#include <utility>

#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/cluster/internal/writer_rep.h"

namespace narthex::cluster {
namespace {

using internal::PushPart;
using internal::PushSpool;

// How often it is looked what waits too long.
constexpr std::chrono::milliseconds kKeepEvery{200};

}  // namespace

std::shared_ptr<PushSpool> Writer::Rep::OpenSpool(
    internal::DiskQueueOptions options) {
  const std::string directory = options.directory;
  auto spool = PushSpool::Open(std::move(options), series_, metrics_, log_);
  if (spool.ok()) return *std::move(spool);
  log_.Error("opening a queue on disk, samples wait in memory only",
             {{"directory", directory}, {"err", spool.status().ToString()}});
  return nullptr;
}

std::shared_ptr<PushSpool> Writer::Rep::OpenSpool(const std::string& address) {
  if (spools_ == nullptr) return nullptr;
  internal::DiskQueueOptions options = spools_->OptionsFor(address);
  for (auto it = orphans_.begin(); it != orphans_.end(); ++it) {
    if ((*it)->directory() != options.directory) continue;
    std::shared_ptr<PushSpool> back = std::move(*it);
    orphans_.erase(it);
    back->Rewind();
    return back;
  }
  return OpenSpool(std::move(options));
}

void Writer::Rep::FindOrphans() {
  if (spools_ == nullptr) return;
  base::MutexLock lock(mutex_);
  std::set<std::string> known;
  for (const std::string& address : addresses_) {
    known.insert(spools_->OptionsFor(address).directory);
  }
  for (const std::string& directory : spools_->Directories()) {
    if (known.contains(directory)) continue;
    if (auto spool = OpenSpool(spools_->OptionsIn(directory))) {
      orphans_.push_back(std::move(spool));
    }
  }
  for (const auto& client : clients_) client->Hold(!orphans_.empty());
}

void Writer::Rep::Keep() {
  while (true) {
    {
      base::ReaderMutexLock lock(mutex_);
      for (const auto& client : clients_) client->Spill();
    }
    DrainOrphans();
    base::MutexLock lock(keeper_mutex_);
    if (!keeper_stopping_) keeper_wake_.WaitFor(keeper_mutex_, kKeepEvery);
    if (keeper_stopping_) return;
  }
}

void Writer::Rep::DrainOrphans() {
  const auto give_up = std::chrono::steady_clock::now() + kKeepEvery;
  while (std::chrono::steady_clock::now() < give_up) {
    {
      base::MutexLock lock(keeper_mutex_);
      if (handing_on_) keeper_wake_.WaitFor(keeper_mutex_, kKeepEvery);
      if (handing_on_ || keeper_stopping_) return;
    }
    std::shared_ptr<PushSpool> orphan;
    {
      base::ReaderMutexLock lock(mutex_);
      if (orphans_.empty()) return;
      orphan = orphans_.front();
    }
    if (HandOn(orphan)) continue;
    base::MutexLock lock(mutex_);
    // It may have been taken back meanwhile.
    const auto it = std::find(orphans_.begin(), orphans_.end(), orphan);
    if (it == orphans_.end()) continue;
    orphans_.erase(it);
    log_.Info("handed on what waited on disk for an ingester that is gone",
              {{"directory", orphan->directory()}});
    if (const absl::Status status = base::RemoveAll(orphan->directory());
        !status.ok()) {
      log_.Warn("removing an empty queue", {{"err", status.ToString()}});
    }
    if (!orphans_.empty()) continue;
    for (const auto& client : clients_) client->Hold(false);
  }
}

bool Writer::Rep::HandOn(const std::shared_ptr<PushSpool>& orphan) {
  auto entry = orphan->Read();
  if (!entry.has_value()) return false;
  {
    base::MutexLock lock(keeper_mutex_);
    handing_on_ = true;
  }
  const internal::DiskPosition end = entry->end;
  base::ReaderMutexLock lock(mutex_);
  const std::size_t samples =
      entry->part.samples.size() + entry->part.histograms.size();
  const std::size_t size = entry->part.size();
  std::vector<PushPart> shares = Split(std::move(entry->part));
  Track(
      size, &shares,
      [this, orphan, end, samples](const PushOutcome& outcome) {
        if (outcome.status.ok()) orphan->Commit(end);
        for (const storage::Rejection& one : outcome.rejected) {
          if (!options_.on_late_rejection || options_.replication_factor > 1) {
            break;
          }
          options_.on_late_rejection(one.reason, one.index >= samples);
        }
        base::MutexLock keeper_lock(keeper_mutex_);
        handing_on_ = false;
        keeper_wake_.NotifyAll();
      },
      [] {});
  for (std::size_t i = 0; i < shares.size(); ++i) {
    if (shares[i].empty()) continue;
    clients_[i]->PushUrgent(std::move(shares[i]));
  }
  return true;
}

}  // namespace narthex::cluster
