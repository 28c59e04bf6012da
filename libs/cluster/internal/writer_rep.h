#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "libs/base/mutex.h"
#include "libs/cluster/internal/address_watch.h"
#include "libs/cluster/internal/push_client.h"
#include "libs/cluster/internal/series_epochs.h"
#include "libs/cluster/internal/spool_root.h"
#include "libs/cluster/writer.h"

namespace narthex::cluster {

/// What a Writer is: a client for each ingester, who gets what of a batch, and
/// the queues on disk of ingesters that are gone.
class Writer::Rep {
 public:
  Rep(const AddressList& ingesters, const WriterOptions& options,
      base::Logger log, metrics::Registry& registry,
      const std::vector<std::string>& addresses,
      std::unique_ptr<internal::SpoolRoot> spools)
      : options_(options),
        log_(std::move(log)),
        metrics_(registry),
        series_(options.replication_factor),
        epochs_(series_),
        spools_(std::move(spools)) {
    Connect(addresses);
    FindOrphans();
    if (spools_ != nullptr) keeper_ = std::thread([this] { Keep(); });
    watch_ = std::make_unique<internal::AddressWatch>(
        ingesters, [this](const auto& found) { Update(found); },
        [this](const absl::Status& status) {
          log_.Warn("keeping the known ingesters",
                    {{"err", status.ToString()}});
        });
  }

  ~Rep() { Stop(std::chrono::milliseconds(0)); }

  storage::SeriesRef Declare(const model::Labels& labels) {
    return series_.Declare(labels);
  }

  std::uint64_t HashOf(storage::SeriesRef ref) const {
    return series_.HashOf(ref);
  }

  void Release(absl::Span<const storage::SeriesRef> refs);
  void Push(PushBatch batch, std::function<void(PushOutcome)> done);
  PushOutcome PushAndWait(PushBatch batch, std::chrono::milliseconds timeout);
  void Stop(std::chrono::milliseconds grace);

 private:
  void Connect(const std::vector<std::string>& addresses)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Connects unless there are fewer than a series has replicas.
  void Update(const std::vector<std::string>& addresses)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Shares a part out by owner: one part per client, some empty.
  std::vector<internal::PushPart> Split(internal::PushPart whole) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // Gives a copy of everything to each of its owners.
  std::vector<internal::PushPart> Copies(const internal::PushPart& whole) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // Lets the parts of a batch of `size` tell `done` what became of it, and
  // `settled` when all of them are answered, which with replicas is later.
  void Track(std::size_t size, std::vector<internal::PushPart>* parts,
             std::function<void(PushOutcome)> done,
             std::function<void()> settled) const;
  void Deliver(std::size_t client, internal::PushPart part)
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void DeliverAll(std::vector<internal::PushPart> parts)
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void Enqueue(std::size_t client, internal::PushPart part)
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // Gives up what has waited longest, until no more references are kept for
  // its sake than samples may wait.
  void BoundReleased() ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void Drop(const internal::PushPart& part, const absl::Status& why,
            const char* reason);
  // Takes up again what a client that is gone did not deliver.
  void Redeliver(std::vector<internal::PushPart> parts)
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  std::string Trouble() const ABSL_LOCKS_EXCLUDED(mutex_);

  std::shared_ptr<internal::PushSpool> OpenSpool(const std::string& address)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::shared_ptr<internal::PushSpool> OpenSpool(
      internal::DiskQueueOptions options);
  void FindOrphans() ABSL_LOCKS_EXCLUDED(mutex_);
  // Spills for all clients and empties orphans, until stopped.
  void Keep() ABSL_LOCKS_EXCLUDED(mutex_, keeper_mutex_);
  void DrainOrphans() ABSL_LOCKS_EXCLUDED(mutex_, keeper_mutex_);
  // Hands on one record of an orphan. False when there is none left.
  bool HandOn(const std::shared_ptr<internal::PushSpool>& orphan)
      ABSL_LOCKS_EXCLUDED(mutex_, keeper_mutex_);

  const WriterOptions options_;
  const base::Logger log_;
  internal::WriterMetrics metrics_;
  internal::SeriesTable series_;
  internal::SeriesEpochs epochs_;
  const std::unique_ptr<internal::SpoolRoot> spools_;

  // Held shared to push, exclusively to change the clients.
  mutable base::Mutex mutex_;
  std::vector<std::string> addresses_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Owners> owners_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<internal::PushClient>> clients_
      ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  // Spools of ingesters that are gone. While there are any, the clients hold
  // newer samples back: those of the same series must not overtake.
  std::vector<std::shared_ptr<internal::PushSpool>> orphans_
      ABSL_GUARDED_BY(mutex_);

  base::Mutex progress_mutex_;
  base::CondVar progress_;
  // Batches without an outcome yet.
  std::size_t outstanding_ ABSL_GUARDED_BY(progress_mutex_) = 0;
  std::atomic<bool> dropping_{false};
  std::unique_ptr<internal::AddressWatch> watch_;

  base::Mutex keeper_mutex_;
  base::CondVar keeper_wake_;
  bool keeper_stopping_ ABSL_GUARDED_BY(keeper_mutex_) = false;
  // A record of an orphan is under way.
  bool handing_on_ ABSL_GUARDED_BY(keeper_mutex_) = false;
  std::thread keeper_;
};

}  // namespace narthex::cluster
