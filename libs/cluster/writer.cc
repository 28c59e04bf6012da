#include "libs/cluster/writer.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/mutex.h"
#include "libs/base/status.h"
#include "libs/cluster/internal/address_watch.h"
#include "libs/cluster/internal/push_client.h"

namespace narthex::cluster {
namespace {

using internal::PendingPush;
using internal::PushClient;
using internal::PushPart;
using std::chrono::milliseconds;

}  // namespace

class Writer::Rep {
 public:
  Rep(const AddressList& ingesters, const WriterOptions& options,
      base::Logger log, metrics::Registry& registry,
      const std::vector<std::string>& addresses)
      : options_(options), log_(std::move(log)), metrics_(registry) {
    Connect(addresses);
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

  void Release(absl::Span<const storage::SeriesRef> refs);
  void Push(std::vector<RefSample> batch,
            std::function<void(PushOutcome)> done);
  PushOutcome PushAndWait(std::vector<RefSample> batch, milliseconds timeout);
  void Stop(milliseconds grace);

 private:
  void Connect(const std::vector<std::string>& addresses)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Shares a batch out by owner: one part per client, some empty.
  std::vector<PushPart> Split(std::vector<RefSample> batch) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void Deliver(std::size_t client, PushPart part)
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void Enqueue(std::size_t client, PushPart part)
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void EnqueueRelease(
      const std::shared_ptr<const internal::ReleasedSeries>& released)
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void Drop(PushPart part, const absl::Status& why);
  // Takes up again what a client that is gone did not deliver.
  void Redeliver(std::vector<PushPart> parts)
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  std::string Trouble() const ABSL_LOCKS_EXCLUDED(mutex_);

  const WriterOptions options_;
  const base::Logger log_;
  internal::WriterMetrics metrics_;
  internal::SeriesTable series_;

  // Held shared to push, exclusively to change the clients.
  mutable base::Mutex mutex_;
  std::vector<std::string> addresses_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Owners> owners_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<PushClient>> clients_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;

  base::Mutex progress_mutex_;
  base::CondVar progress_;
  // Batches without an outcome yet.
  std::size_t outstanding_ ABSL_GUARDED_BY(progress_mutex_) = 0;
  std::atomic<bool> dropping_{false};
  std::unique_ptr<internal::AddressWatch> watch_;
};

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
                                            metrics_, log_);
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
  }
}

std::vector<PushPart> Writer::Rep::Split(std::vector<RefSample> batch) const {
  std::vector<PushPart> parts(clients_.size());
  if (clients_.size() == 1) {
    parts[0].samples = std::move(batch);
    return parts;
  }
  std::vector<std::uint64_t> hashes;
  series_.HashesOf(batch, &hashes);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    PushPart& part = parts[owners_->OwnerOf(hashes[i])];
    part.samples.push_back(batch[i]);
    part.positions.push_back(static_cast<std::uint32_t>(i));
  }
  return parts;
}

void Writer::Rep::Deliver(std::size_t client, PushPart part) {
  const std::size_t size = part.samples.size();
  const std::size_t most = options_.max_batch_samples;
  if (size <= most) {
    Enqueue(client, std::move(part));
    return;
  }
  // An ingester refuses messages beyond a size, and would for ever.
  part.pending->Expect((size - 1) / most);
  for (std::size_t from = 0; from < size; from += most) {
    PushPart slice;
    slice.pending = part.pending;
    for (std::size_t i = from; i < std::min(from + most, size); ++i) {
      slice.samples.push_back(part.samples[i]);
      slice.positions.push_back(static_cast<std::uint32_t>(part.PositionOf(i)));
    }
    Enqueue(client, std::move(slice));
  }
}

void Writer::Rep::Enqueue(std::size_t client, PushPart part) {
  if (clients_[client]->Push(std::move(part))) return;
  // Push() left the part as it was.
  Drop(std::move(part), absl::ResourceExhaustedError(absl::StrCat(
                            clients_[client]->address(),
                            ": too many samples are waiting already")));
}

void Writer::Rep::Drop(PushPart part, const absl::Status& why) {
  if (!part.samples.empty()) {
    metrics_.dropped.Inc(static_cast<double>(part.samples.size()));
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
    const PushPart whole = std::move(part);
    std::vector<PushPart> shares = Split(whole.samples);
    std::size_t used = 0;
    for (const PushPart& share : shares) used += share.samples.empty() ? 0 : 1;
    whole.pending->Expect(used - 1);
    for (std::size_t i = 0; i < shares.size(); ++i) {
      if (shares[i].samples.empty()) continue;
      for (std::size_t j = 0; j < shares[i].samples.size(); ++j) {
        const std::size_t index = shares[i].PositionOf(j);
        if (shares[i].positions.size() <= j) shares[i].positions.push_back(0);
        shares[i].positions[j] =
            static_cast<std::uint32_t>(whole.PositionOf(index));
      }
      shares[i].pending = whole.pending;
      Deliver(i, std::move(shares[i]));
    }
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
    client->Push(std::move(part));
  }
}

void Writer::Rep::Push(std::vector<RefSample> batch,
                       std::function<void(PushOutcome)> done) {
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
    metrics_.dropped.Inc(static_cast<double>(batch.size()));
    finish({absl::UnavailableError("the writer has stopped"), {}});
    return;
  }
  std::vector<PushPart> parts = Split(std::move(batch));
  std::size_t used = 0;
  for (const PushPart& part : parts) used += part.samples.empty() ? 0 : 1;
  const auto pending = std::make_shared<PendingPush>(used, std::move(finish));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].samples.empty()) continue;
    parts[i].pending = pending;
    Deliver(i, std::move(parts[i]));
  }
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

PushOutcome Writer::Rep::PushAndWait(std::vector<RefSample> batch,
                                     milliseconds timeout) {
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
  std::vector<std::unique_ptr<PushClient>> clients;
  {
    base::MutexLock lock(mutex_);
    stopped_ = true;
    clients = std::move(clients_);
    clients_.clear();
  }
  for (auto& client : clients) {
    for (PushPart& part : client->Stop()) {
      Drop(std::move(part),
           absl::UnavailableError(absl::StrCat(client->address(),
                                               ": stopped before the "
                                               "samples were taken")));
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
  return std::unique_ptr<Writer>(new Writer(std::make_unique<Rep>(
      ingesters, options, std::move(log), registry, addresses)));
}

Writer::Writer(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
Writer::~Writer() = default;

storage::SeriesRef Writer::Declare(const model::Labels& labels) {
  return rep_->Declare(labels);
}
void Writer::Release(absl::Span<const storage::SeriesRef> refs) {
  rep_->Release(refs);
}
void Writer::Push(std::vector<RefSample> batch,
                  std::function<void(PushOutcome)> done) {
  rep_->Push(std::move(batch), std::move(done));
}
PushOutcome Writer::PushAndWait(std::vector<RefSample> batch,
                                std::chrono::milliseconds timeout) {
  return rep_->PushAndWait(std::move(batch), timeout);
}
void Writer::Stop(std::chrono::milliseconds grace) { rep_->Stop(grace); }

}  // namespace narthex::cluster
