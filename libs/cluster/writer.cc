#include "libs/cluster/writer.h"

#include <map>
#include <optional>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/cluster/internal/replica_tally.h"
#include "libs/cluster/internal/writer_rep.h"

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

std::size_t CountUsed(const std::vector<PushPart>& parts) {
  std::size_t used = 0;
  for (const PushPart& part : parts) used += part.empty() ? 0 : 1;
  return used;
}

}  // namespace

void Writer::Rep::Update(const std::vector<std::string>& addresses) {
  if (addresses.size() >= options_.replication_factor) {
    Connect(addresses);
    return;
  }
  log_.Warn("keeping the known ingesters, fewer are found than a series needs",
            {{"found", addresses.size()}});
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
  if (options_.replication_factor > 1) return Copies(whole);
  // The samples' hashes are looked up together, the few others by themselves.
  std::vector<std::uint64_t> hashes;
  series_.HashesOf(whole.samples, &hashes);
  const Owners& owners = *owners_;
  std::size_t next = 0;
  for (PushPart& part : parts) part.TakeOriginOf(whole);
  std::move(whole).ShareOut([&](storage::SeriesRef ref) -> PushPart& {
    const std::uint64_t hash =
        next < hashes.size() ? hashes[next++] : series_.HashOf(ref);
    return parts[owners.OwnerOf(hash)];
  });
  return parts;
}

std::vector<PushPart> Writer::Rep::Copies(const PushPart& whole) const {
  std::vector<PushPart> parts(clients_.size());
  const std::size_t replicas = options_.replication_factor;
  const bool to_all = replicas == clients_.size();
  for (PushPart& part : parts) {
    if (to_all) {
      static_cast<PushBatch&>(part) = whole;
      part.positions = whole.positions;
    }
    part.TakeOriginOf(whole);
  }
  if (to_all) return parts;
  const Owners& owners = *owners_;
  std::vector<std::size_t> theirs(replicas);
  std::vector<PushPart*> their_parts(replicas);
  whole.CopyOut([&](storage::SeriesRef ref) -> const std::vector<PushPart*>& {
    owners.OwnersOf(series_.HashOf(ref), absl::MakeSpan(theirs));
    for (std::size_t i = 0; i < replicas; ++i) {
      their_parts[i] = &parts[theirs[i]];
    }
    return their_parts;
  });
  return parts;
}

void Writer::Rep::Track(std::size_t size, std::vector<PushPart>* parts,
                        std::function<void(PushOutcome)> done,
                        std::function<void()> settled) const {
  if (options_.replication_factor == 1) {
    const auto pending = std::make_shared<PendingPush>(
        CountUsed(*parts), [done = std::move(done),
                            settled = std::move(settled)](PushOutcome outcome) {
          done(std::move(outcome));
          settled();
        });
    for (PushPart& part : *parts) part.pending = pending;
    return;
  }
  const auto tally = std::make_shared<internal::ReplicaTally>(
      size, options_.replication_factor, CountUsed(*parts), std::move(done),
      std::move(settled));
  for (PushPart& part : *parts) {
    part.pending = std::make_shared<PendingPush>(
        1, [tally, numbered = part.size(),
            positions = part.positions](const PushOutcome& outcome) {
          tally->Answer(numbered, positions, outcome);
        });
  }
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
  PushPart origin;
  origin.TakeOriginOf(part);
  const std::shared_ptr<PendingPush> pending = part.pending;
  std::move(part).ShareOut([&](storage::SeriesRef) -> PushPart& {
    if (slices.back().weight() >= most) slices.emplace_back();
    return slices.back();
  });
  if (pending) pending->Expect(slices.size() - 1);
  for (PushPart& slice : slices) {
    slice.pending = pending;
    slice.TakeOriginOf(origin);
    Enqueue(client, std::move(slice));
  }
}

void Writer::Rep::DeliverAll(std::vector<PushPart> parts) {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (!parts[i].empty()) Deliver(i, std::move(parts[i]));
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
    const std::shared_ptr<PendingPush> pending = part.pending;
    // Other owners of it may have it.
    part.resent = part.resent || options_.replication_factor > 1;
    std::vector<PushPart> shares = Split(std::move(part));
    if (pending) pending->Expect(CountUsed(shares) - 1);
    for (PushPart& share : shares) share.pending = pending;
    DeliverAll(std::move(shares));
  }
}

void Writer::Rep::Release(absl::Span<const storage::SeriesRef> refs) {
  if (refs.empty()) return;
  epochs_.Release(refs);
  base::ReaderMutexLock lock(mutex_);
  BoundReleased();
}

void Writer::Rep::BoundReleased() {
  while (epochs_.held() > options_.max_queued_samples) {
    // That an ingester is slow shows in the age of what waits for it: nothing
    // that young waits in vain.
    std::int64_t oldest_ns =
        base::Clock::System().MonotonicNs() -
        std::chrono::nanoseconds(options_.spill_after).count();
    PushClient* slowest = nullptr;
    for (const auto& client : clients_) {
      const std::int64_t ns = client->oldest_ns();
      if (ns == 0 || ns >= oldest_ns) continue;
      oldest_ns = ns;
      slowest = client.get();
    }
    if (slowest == nullptr) return;
    const std::optional<PushPart> gone = slowest->GiveUpOldest();
    if (!gone.has_value()) return;
    Drop(*gone,
         absl::ResourceExhaustedError(absl::StrCat(
             slowest->address(), ": too many series have ended since")),
         "memory");
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
  };
  auto settled = [this] {
    base::MutexLock lock(progress_mutex_);
    --outstanding_;
    progress_.NotifyAll();
  };
  base::ReaderMutexLock lock(mutex_);
  if (stopped_) {
    metrics_.dropped.With({"stopped"}).Inc(static_cast<double>(batch.size()));
    finish({absl::UnavailableError("the writer has stopped"), {}});
    settled();
    return;
  }
  const std::size_t size = batch.size();
  PushPart whole;
  static_cast<PushBatch&>(whole) = std::move(batch);
  whole.declared = epochs_.Current();
  std::vector<PushPart> parts = Split(std::move(whole));
  Track(size, &parts, std::move(finish), std::move(settled));
  DeliverAll(std::move(parts));
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
  std::vector<std::shared_ptr<PushSpool>> orphans;
  {
    base::MutexLock lock(mutex_);
    stopped_ = true;
    clients.swap(clients_);
    orphans.swap(orphans_);
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
  NARTHEX_RETURN_IF_ERROR(
      CheckReplicationFactor(options.replication_factor, addresses));
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
