#include "libs/cluster/writer.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/mutex.h"
#include "libs/base/status.h"
#include "libs/cluster/internal/address_watch.h"
#include "libs/cluster/internal/push_client.h"
#include "libs/cluster/internal/spool_root.h"

namespace narthex::cluster {
namespace {

using internal::PendingPush;
using internal::PushClient;
using internal::PushPart;
using internal::PushSpool;
using internal::SpoolRoot;
using std::chrono::milliseconds;

// In usual ones: with 10,000 samples these make 4 MB of the 16 MB that an
// ingester takes.
constexpr std::size_t kLargestMessage = 20;

// How often it is looked what waits too long.
constexpr milliseconds kKeepEvery{200};

std::size_t CountUsed(const std::vector<PushPart>& parts) {
  std::size_t used = 0;
  for (const PushPart& part : parts) used += part.empty() ? 0 : 1;
  return used;
}

}  // namespace

class Writer::Rep {
 public:
  Rep(const AddressList& ingesters, const WriterOptions& options,
      base::Logger log, metrics::Registry& registry,
      const std::vector<std::string>& addresses,
      std::unique_ptr<SpoolRoot> spools)
      : options_(options),
        log_(std::move(log)),
        metrics_(registry),
        spools_(std::move(spools)) {
    Connect(addresses);
    FindOrphans();
    if (spools_ != nullptr) keeper_ = std::thread([this] { Keep(); });
    watch_ = std::make_unique<internal::AddressWatch>(
        ingesters, [this](const auto& found) { Connect(found); },
        [this](const absl::Status& status) {
          log_.Warn("keeping the known ingesters",
                    {{"err", status.ToString()}});
        });
  }

  ~Rep() { Stop(milliseconds(0)); }

  storage::SeriesRef Declare(const model::Labels& labels) {
    return series_.Declare(labels);
  }

  std::uint64_t HashOf(storage::SeriesRef ref) const {
    return series_.HashOf(ref);
  }

  void Release(absl::Span<const storage::SeriesRef> refs);
  void Push(PushBatch batch, std::function<void(PushOutcome)> done);
  PushOutcome PushAndWait(PushBatch batch, milliseconds timeout);
  void Stop(milliseconds grace);

 private:
  void Connect(const std::vector<std::string>& addresses)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Shares a part out by owner: one part per client, some empty.
  std::vector<PushPart> Split(PushPart whole) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void Deliver(std::size_t client, PushPart part)
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void DeliverAll(std::vector<PushPart> parts,
                  const std::shared_ptr<PendingPush>& pending)
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void Enqueue(std::size_t client, PushPart part)
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void EnqueueRelease(
      const std::shared_ptr<const internal::ReleasedSeries>& released)
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void Drop(const PushPart& part, const absl::Status& why, const char* reason);
  // Takes up again what a client that is gone did not deliver.
  void Redeliver(std::vector<PushPart> parts)
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  std::string Trouble() const ABSL_LOCKS_EXCLUDED(mutex_);

  std::shared_ptr<PushSpool> OpenSpool(const std::string& address)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::shared_ptr<PushSpool> OpenSpool(internal::DiskQueueOptions options);
  void FindOrphans() ABSL_LOCKS_EXCLUDED(mutex_);
  // Spills for all clients and empties orphans, until stopped.
  void Keep() ABSL_LOCKS_EXCLUDED(mutex_, keeper_mutex_);
  void DrainOrphans() ABSL_LOCKS_EXCLUDED(mutex_, keeper_mutex_);
  // Hands on one record of an orphan. False when there is none left.
  bool HandOn(const std::shared_ptr<PushSpool>& orphan)
      ABSL_LOCKS_EXCLUDED(mutex_, keeper_mutex_);

  const WriterOptions options_;
  const base::Logger log_;
  internal::WriterMetrics metrics_;
  internal::SeriesTable series_;
  const std::unique_ptr<SpoolRoot> spools_;

  // Held shared to push, exclusively to change the clients.
  mutable base::Mutex mutex_;
  std::vector<std::string> addresses_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Owners> owners_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<PushClient>> clients_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  // Spools of ingesters that are gone. While there are any, the clients hold
  // newer samples back: those of the same series must not overtake.
  std::vector<std::shared_ptr<PushSpool>> orphans_ ABSL_GUARDED_BY(mutex_);

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
  std::vector<PushPart> shares = Split(std::move(entry->part));
  const auto pending = std::make_shared<PendingPush>(
      CountUsed(shares),
      [this, orphan, end, samples](const PushOutcome& outcome) {
        if (outcome.status.ok()) orphan->Commit(end);
        for (const storage::Rejection& one : outcome.rejected) {
          if (!options_.on_late_rejection) break;
          options_.on_late_rejection(one.reason, one.index >= samples);
        }
        base::MutexLock keeper_lock(keeper_mutex_);
        handing_on_ = false;
        keeper_wake_.NotifyAll();
      });
  for (std::size_t i = 0; i < shares.size(); ++i) {
    if (shares[i].empty()) continue;
    shares[i].pending = pending;
    clients_[i]->PushUrgent(std::move(shares[i]));
  }
  return true;
}

void Writer::Rep::Connect(const std::vector<std::string>& addresses) {
  base::MutexLock lock(mutex_);
  if (stopped_ || addresses == addresses_ || addresses.empty()) return;
  std::map<std::string, std::unique_ptr<PushClient>> known;
  for (auto& client : clients_) known[client->address()] = std::move(client);
  clients_.clear();
  for (const std::string& address : addresses) {
    std::unique_ptr<PushClient>& client = known[address];
    if (!client) {
      client = std::make_unique<PushClient>(address, options_, series_,
                                            metrics_, log_, OpenSpool(address));
    }
    clients_.push_back(std::move(client));
  }
  addresses_ = addresses;
  owners_ = std::make_unique<Owners>(addresses_);
  for (auto& [address, client] : known) {
    if (!client) continue;
    log_.Info("ingester is gone, its samples go to the others",
              {{"ingester", address}});
    Redeliver(client->Stop());
    const std::shared_ptr<PushSpool> spool = client->TakeSpool();
    if (spool != nullptr && spool->HasUnread()) orphans_.push_back(spool);
  }
  for (const auto& client : clients_) client->Hold(!orphans_.empty());
}

std::vector<PushPart> Writer::Rep::Split(PushPart whole) const {
  std::vector<PushPart> parts(clients_.size());
  if (clients_.size() == 1) {
    parts[0] = std::move(whole);
    return parts;
  }
  // The samples' hashes are looked up together, the few others by themselves.
  std::vector<std::uint64_t> hashes;
  series_.HashesOf(whole.samples, &hashes);
  const Owners& owners = *owners_;
  std::size_t next = 0;
  for (PushPart& part : parts) {
    part.TakeRulesOf(whole);
    part.resent = whole.resent;
    part.declared = whole.declared;
  }
  std::move(whole).ShareOut([&](storage::SeriesRef ref) -> PushPart& {
    const std::uint64_t hash =
        next < hashes.size() ? hashes[next++] : series_.HashOf(ref);
    return parts[owners.OwnerOf(hash)];
  });
  return parts;
}

void Writer::Rep::Deliver(std::size_t client, PushPart part) {
  std::size_t most = options_.max_batch_samples;
  // What belongs together stays so while a message can hold it.
  if (part.all_or_none) most *= kLargestMessage;
  if (part.weight() <= most) {
    Enqueue(client, std::move(part));
    return;
  }
  // An ingester refuses messages beyond a size, and would for ever.
  std::vector<PushPart> slices(1);
  PushBatch rules;
  rules.TakeRulesOf(part);
  const std::shared_ptr<PendingPush> pending = part.pending;
  const std::shared_ptr<const void> declared = part.declared;
  std::move(part).ShareOut([&](storage::SeriesRef) -> PushPart& {
    if (slices.back().weight() >= most) slices.emplace_back();
    return slices.back();
  });
  if (pending) pending->Expect(slices.size() - 1);
  for (PushPart& slice : slices) {
    slice.pending = pending;
    slice.declared = declared;
    slice.TakeRulesOf(rules);
    Enqueue(client, std::move(slice));
  }
}

void Writer::Rep::DeliverAll(std::vector<PushPart> parts,
                             const std::shared_ptr<PendingPush>& pending) {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].empty()) continue;
    parts[i].pending = pending;
    Deliver(i, std::move(parts[i]));
  }
}

void Writer::Rep::Enqueue(std::size_t client, PushPart part) {
  if (clients_[client]->Push(std::move(part))) return;
  // Push() left the part as it was. NOLINTNEXTLINE(bugprone-use-after-move)
  Drop(part,
       absl::ResourceExhaustedError(
           absl::StrCat(clients_[client]->address(),
                        ": too many samples are waiting already")),
       "memory");
}

void Writer::Rep::Drop(const PushPart& part, const absl::Status& why,
                       const char* reason) {
  if (part.size() > 0) {
    metrics_.dropped.With({reason}).Inc(static_cast<double>(part.size()));
    if (!dropping_.exchange(true)) {
      log_.Error("dropping samples", {{"err", why.ToString()}});
    }
  }
  if (part.pending) part.pending->Finish(why, {});
}

void Writer::Rep::Redeliver(std::vector<PushPart> parts) {
  for (PushPart& part : parts) {
    if (part.released) {
      EnqueueRelease(part.released);
      continue;
    }
    const std::shared_ptr<PendingPush> pending = part.pending;
    std::vector<PushPart> shares = Split(std::move(part));
    if (pending) pending->Expect(CountUsed(shares) - 1);
    DeliverAll(std::move(shares), pending);
  }
}

void Writer::Rep::Release(absl::Span<const storage::SeriesRef> refs) {
  if (refs.empty()) return;
  const auto released = std::make_shared<const internal::ReleasedSeries>(
      series_, std::vector<storage::SeriesRef>(refs.begin(), refs.end()));
  base::ReaderMutexLock lock(mutex_);
  EnqueueRelease(released);
}

void Writer::Rep::EnqueueRelease(
    const std::shared_ptr<const internal::ReleasedSeries>& released) {
  for (const auto& client : clients_) {
    PushPart part;
    part.released = released;
    for (const PushPart& gone : client->PushRelease(std::move(part))) {
      Drop(gone,
           absl::ResourceExhaustedError(absl::StrCat(
               client->address(), ": too much is waiting already")),
           "memory");
    }
  }
}

void Writer::Rep::Push(PushBatch batch, std::function<void(PushOutcome)> done) {
  if (batch.empty()) {
    done(PushOutcome{});
    return;
  }
  {
    base::MutexLock lock(progress_mutex_);
    ++outstanding_;
  }
  auto finish = [this, done = std::move(done)](PushOutcome outcome) {
    if (outcome.status.ok()) dropping_ = false;
    done(std::move(outcome));
    base::MutexLock lock(progress_mutex_);
    --outstanding_;
    progress_.NotifyAll();
  };
  base::ReaderMutexLock lock(mutex_);
  if (stopped_) {
    metrics_.dropped.With({"stopped"}).Inc(static_cast<double>(batch.size()));
    finish({absl::UnavailableError("the writer has stopped"), {}});
    return;
  }
  PushPart whole;
  static_cast<PushBatch&>(whole) = std::move(batch);
  std::vector<PushPart> parts = Split(std::move(whole));
  const auto pending =
      std::make_shared<PendingPush>(CountUsed(parts), std::move(finish));
  DeliverAll(std::move(parts), pending);
}

std::string Writer::Rep::Trouble() const {
  base::ReaderMutexLock lock(mutex_);
  for (const auto& client : clients_) {
    if (const absl::Status status = client->trouble(); !status.ok()) {
      return absl::StrCat(": ", status.message());
    }
  }
  return "";
}

PushOutcome Writer::Rep::PushAndWait(PushBatch batch, milliseconds timeout) {
  struct Waiter {
    base::Mutex mutex;
    base::CondVar changed;
    bool settled ABSL_GUARDED_BY(mutex) = false;
    PushOutcome outcome ABSL_GUARDED_BY(mutex);
  };
  // Shared, as the outcome may come after this call has given up.
  const auto waiter = std::make_shared<Waiter>();
  Push(std::move(batch), [waiter](PushOutcome outcome) {
    base::MutexLock lock(waiter->mutex);
    waiter->outcome = std::move(outcome);
    waiter->settled = true;
    waiter->changed.NotifyAll();
  });
  const auto give_up = std::chrono::steady_clock::now() + timeout;
  {
    base::MutexLock lock(waiter->mutex);
    while (!waiter->settled) {
      const auto left = std::chrono::duration_cast<milliseconds>(
          give_up - std::chrono::steady_clock::now());
      if (left.count() <= 0) break;
      waiter->changed.WaitFor(waiter->mutex, left);
    }
    if (waiter->settled) return std::move(waiter->outcome);
  }
  PushOutcome late;
  late.status = absl::UnavailableError(absl::StrCat(
      "samples not taken within ", timeout.count(), "ms", Trouble()));
  return late;
}

void Writer::Rep::Stop(milliseconds grace) {
  const auto give_up = std::chrono::steady_clock::now() + grace;
  {
    base::MutexLock lock(progress_mutex_);
    while (outstanding_ > 0) {
      const auto left = std::chrono::duration_cast<milliseconds>(
          give_up - std::chrono::steady_clock::now());
      if (left.count() <= 0) break;
      progress_.WaitFor(progress_mutex_, left);
    }
  }
  watch_.reset();
  {
    base::MutexLock lock(keeper_mutex_);
    keeper_stopping_ = true;
    keeper_wake_.NotifyAll();
  }
  if (keeper_.joinable()) keeper_.join();
  std::vector<std::unique_ptr<PushClient>> clients;
  {
    base::MutexLock lock(mutex_);
    stopped_ = true;
    clients = std::move(clients_);
    clients_.clear();
  }
  for (auto& client : clients) {
    for (PushPart& part : client->Stop()) {
      Drop(part,
           absl::UnavailableError(absl::StrCat(client->address(),
                                               ": stopped before the "
                                               "samples were taken")),
           "stopped");
    }
  }
}

absl::StatusOr<std::unique_ptr<Writer>> Writer::Create(
    const AddressList& ingesters, WriterOptions options, base::Logger log,
    metrics::Registry& registry) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> addresses,
                           ResolveAddresses(ingesters));
  if (addresses.empty()) {
    return absl::InvalidArgumentError("no ingester addresses given");
  }
  std::unique_ptr<SpoolRoot> spools;
  if (!options.disk.directory.empty()) {
    NARTHEX_ASSIGN_OR_RETURN(spools, SpoolRoot::Open(options.disk));
  }
  return std::unique_ptr<Writer>(new Writer(
      std::make_unique<Rep>(ingesters, options, std::move(log), registry,
                            addresses, std::move(spools))));
}

Writer::Writer(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
Writer::~Writer() = default;

storage::SeriesRef Writer::Declare(const model::Labels& labels) {
  return rep_->Declare(labels);
}
std::uint64_t Writer::HashOf(storage::SeriesRef ref) const {
  return rep_->HashOf(ref);
}
void Writer::Release(absl::Span<const storage::SeriesRef> refs) {
  rep_->Release(refs);
}
void Writer::Push(PushBatch batch, std::function<void(PushOutcome)> done) {
  rep_->Push(std::move(batch), std::move(done));
}
PushOutcome Writer::PushAndWait(PushBatch batch,
                                std::chrono::milliseconds timeout) {
  return rep_->PushAndWait(std::move(batch), timeout);
}
void Writer::Stop(std::chrono::milliseconds grace) { rep_->Stop(grace); }

}  // namespace narthex::cluster
