#include "libs/cluster/internal/push_client.h"

#include <grpcpp/channel.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/rpc/channel.h"
#include "narthex/v1/ingester.pb.h"

namespace narthex::cluster::internal {
namespace {

using std::chrono::milliseconds;

// So many messages may be unanswered: enough to keep an ingester busy, few
// enough to be sent again quickly.
constexpr std::size_t kMaxUnderWay = 8;
constexpr milliseconds kIdleWait{200};
constexpr milliseconds kQuietWait{30'000};
constexpr milliseconds kRetryWait{200};
// What a power cut takes at most of what was on its way to disk.
constexpr milliseconds kSyncEvery{1'000};

// Only a malformed batch would fare no better the next time.
bool MayRetry(absl::StatusCode code) {
  return code != absl::StatusCode::kInvalidArgument;
}

const char* ReasonName(v1::RejectReason reason) {
  switch (reason) {
    case v1::REJECT_REASON_OUT_OF_ORDER:
      return "out_of_order";
    case v1::REJECT_REASON_DUPLICATE:
      return "duplicate";
    case v1::REJECT_REASON_OUT_OF_BOUNDS:
      return "out_of_bounds";
    case v1::REJECT_REASON_UNKNOWN_SERIES:
      return "unknown_series";
    case v1::REJECT_REASON_LIMIT:
      return "limit";
    case v1::REJECT_REASON_TOO_OLD:
      return "too_old";
    case v1::REJECT_REASON_INVALID:
      return "invalid";
    default:
      return "unknown";
  }
}

// Shares the rejections of a message, ascending by index, out to its parts, in
// each of which they are by the part's own numbers.
std::vector<std::vector<storage::Rejection>> RejectionsByPart(
    const std::vector<PushPart>& parts, const v1::PushResponse& response) {
  std::vector<std::vector<storage::Rejection>> by_part(parts.size());
  int next = 0;
  std::size_t first = 0;  // Of the part at hand in the message.
  // `before` comes ahead of the `count` in the numbers of part `i`.
  const auto take = [&](std::size_t i, std::size_t before, std::size_t count) {
    for (; next < response.rejected_size() &&
           response.rejected(next).index() < first + count;
         ++next) {
      const v1::RejectedSample& one = response.rejected(next);
      if (one.index() < first) continue;
      by_part[i].push_back({one.index() - first + before,
                            static_cast<storage::RejectReason>(one.reason())});
    }
    first += count;
  };
  if (response.rejected_size() == 0) return by_part;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    take(i, 0, parts[i].samples.size());
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    take(i, parts[i].samples.size(), parts[i].histograms.size());
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    take(i, parts[i].samples.size() + parts[i].histograms.size(),
         parts[i].exemplars.size());
  }
  return by_part;
}

bool AnyUnknown(const std::vector<storage::Rejection>& rejected) {
  return std::any_of(rejected.begin(), rejected.end(), [](const auto& one) {
    return one.reason == storage::RejectReason::kUnknownSeries;
  });
}

// Reports parts that are safe on disk to those who wait for them.
void Finish(const std::vector<std::shared_ptr<PendingPush>>& pending) {
  for (const auto& one : pending) {
    if (one) one->Finish(absl::OkStatus(), {});
  }
}

std::vector<std::shared_ptr<PendingPush>> TakePending(
    std::vector<PushPart>* parts) {
  std::vector<std::shared_ptr<PendingPush>> pending;
  for (PushPart& part : *parts) pending.push_back(std::move(part.pending));
  return pending;
}

// Moves what has the given number in `part` to the end of `*out`.
void TakeOne(std::size_t index, PushPart& part, PushPart* out) {
  out->positions.push_back(static_cast<std::uint32_t>(part.PositionOf(index)));
  if (index < part.samples.size()) {
    const RefSample& sample = part.samples[index];
    out->samples.push_back(sample);
    const auto start = std::find_if(
        part.starts.begin(), part.starts.end(), [&](const RefStart& one) {
          return one.ref == sample.ref &&
                 one.timestamp_ms == sample.timestamp_ms;
        });
    if (start != part.starts.end()) out->starts.push_back(*start);
    return;
  }
  index -= part.samples.size();
  if (index < part.histograms.size()) {
    out->histograms.push_back(std::move(part.histograms[index]));
    return;
  }
  out->exemplars.push_back(
      std::move(part.exemplars[index - part.histograms.size()]));
}

}  // namespace

struct PushClient::Stream {
  explicit Stream(std::uint32_t lane) : id(StreamId::Next(lane)) {}

  const StreamId id;
  std::uint64_t next_batch = 1;
  // One after the other in the same memory.
  v1::PushRequest request;
  std::unique_ptr<PushTransport> transport;
  std::atomic<bool> broken{false};
  absl::Status refusal;  // Set by the receiver when it broke the stream.
};

PushClient::PushClient(std::string address, const WriterOptions& options,
                       SeriesTable& series, WriterMetrics& metrics,
                       base::Logger log, std::shared_ptr<PushSpool> spool)
    : address_(std::move(address)),
      options_(options),
      series_(series),
      metrics_(metrics),
      lane_(LaneOf(address_)),
      log_(log.With({{"ingester", address_}})),
      channel_(rpc::NewChannel(address_)),
      local_(address_),
      queue_(options.max_queued_samples, metrics.queued),
      spool_(std::move(spool)) {
  // What an earlier process left comes first.
  if (spool_ != nullptr && spool_->HasUnread()) {
    queue_.Divert();
    spilling_ = true;
    log_.Info("sending what waits on disk first",
              {{"directory", spool_->directory()}});
  }
  sender_ = std::thread([this] { Run(); });
}

PushClient::~PushClient() { Stop(); }

void PushClient::PushUrgent(PushPart part) {
  std::vector<PushPart> parts;
  parts.push_back(std::move(part));
  queue_.PutUrgent(std::move(parts));
}

std::int64_t PushClient::oldest_ns() const {
  {
    base::ReaderMutexLock lock(mutex_);
    for (const Message& message : under_way_) {
      const std::int64_t queued_ns = message.parts.front().queued_ns;
      if (queued_ns != 0) return queued_ns;
    }
  }
  return queue_.oldest_ns();
}

std::optional<PushPart> PushClient::GiveUpOldest() {
  {
    base::MutexLock lock(mutex_);
    if (stream_ != nullptr && !under_way_.empty()) {
      stream_->transport->Cancel();
      return std::nullopt;
    }
  }
  return queue_.TakeOldest();
}

absl::Status PushClient::trouble() const {
  base::ReaderMutexLock lock(mutex_);
  return trouble_;
}

std::vector<PushPart> PushClient::Stop() {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    if (stream_ != nullptr) stream_->transport->Cancel();
    changed_.NotifyAll();
  }
  queue_.Wake();
  if (sender_.joinable()) sender_.join();
  if (spool_ != nullptr) {
    base::MutexLock order(order_mutex_);
    queue_.DivertAll();
    SpillWaiting();
    spool_->Sync();
  }
  return queue_.Close();
}

void PushClient::Run() {
  while (true) {
    RunStream();
    PutBackUnanswered();
    base::MutexLock lock(mutex_);
    if (!stopping_) changed_.WaitFor(mutex_, kRetryWait);
    if (stopping_) return;
  }
}

bool PushClient::HasSomethingToSend() {
  if (spool_ != nullptr && !held_ && spool_->HasUnread()) return true;
  // Only a spool gets something to send without anybody telling.
  return queue_.WaitForParts(spool_ != nullptr ? kIdleWait : kQuietWait);
}

std::unique_ptr<PushTransport> PushClient::Open() {
  if (!local_refused_) {
    if (auto local = OpenLocalPush(local_, address_)) return local;
  }
  // What is on disk is not read in vain.
  if (!trouble().ok() && !channel_->WaitForConnected(
                             std::chrono::system_clock::now() + kIdleWait)) {
    return nullptr;
  }
  return OpenGrpcPush(channel_, address_);
}

void PushClient::RunStream() {
  // Connects only when there is something to send.
  while (!HasSomethingToSend()) {
    base::MutexLock lock(mutex_);
    if (stopping_) return;
  }
  Stream stream(lane_);
  stream.transport = Open();
  if (stream.transport == nullptr) return;
  {
    base::MutexLock lock(mutex_);
    stream_ = &stream;
    if (stopping_) stream.transport->Cancel();
  }
  std::thread receiver([this, &stream] { Receive(stream); });
  while (SendNext(stream)) {
  }
  // A stream that the peer ended tells why in its status.
  if (!stream.broken) stream.transport->Cancel();
  receiver.join();
  const absl::Status status =
      stream.refusal.ok() ? stream.transport->Finish() : stream.refusal;
  if (absl::IsUnimplemented(status)) local_refused_ = true;
  base::MutexLock lock(mutex_);
  stream_ = nullptr;
  if (stopping_) return;
  if (trouble_.ok()) {
    log_.Warn("push stream broke, samples wait until the ingester is back",
              {{"err", status.ToString()}});
    metrics_.streams_broken.With({address_}).Inc();
  }
  trouble_ =
      status.ok()
          ? absl::UnavailableError(absl::StrCat(address_, ": stream ended"))
          : status;
}

PushClient::Message PushClient::NextMessage() {
  Message message;
  message.parts = queue_.TakeUrgent(options_.max_batch_samples);
  if (!message.parts.empty()) return message;
  if (spool_ != nullptr && !held_) {
    if (auto entry = spool_->Read()) {
      message.parts.push_back(std::move(entry->part));
      message.on_disk = entry->end;
      return message;
    }
    // Nothing on disk is older than what is in memory.
    queue_.Resume();
    if (std::exchange(spilling_, false)) {
      log_.Info("what waited on disk is sent");
    }
  }
  if (held_) {
    if (queue_.WaitForParts(kIdleWait)) {
      message.parts = queue_.TakeUrgent(options_.max_batch_samples);
    }
    return message;
  }
  message.parts =
      queue_.Take(options_.max_batch_samples, options_.linger, kIdleWait);
  return message;
}

bool PushClient::SendNext(Stream& stream) {
  {
    base::MutexLock lock(mutex_);
    while (under_way_.size() >= kMaxUnderWay && !stopping_ && !stream.broken) {
      changed_.WaitFor(mutex_, kIdleWait);
    }
    if (stopping_ || stream.broken) return false;
  }
  v1::PushRequest& request = stream.request;
  {
    base::MutexLock order(order_mutex_);
    Message message = NextMessage();
    if (message.parts.empty()) return true;
    message.batch = stream.next_batch++;
    // That of declarations, which are rare, is given back.
    if (request.new_labels_size() > 0) v1::PushRequest().Swap(&request);
    request.Clear();
    request.set_batch(message.batch);
    EncodeParts(message.parts, stream.id, series_, &request);
    message.sent_ns = base::Clock::System().MonotonicNs();
    base::MutexLock lock(mutex_);
    under_way_.push_back(std::move(message));
  }
  return !stream.broken && stream.transport->Write(request);
}

void PushClient::Receive(Stream& stream) {
  v1::PushResponse response;
  while (stream.transport->Read(&response)) {
    if (response.code() != 0) {
      const absl::Status refusal(
          static_cast<absl::StatusCode>(response.code()),
          absl::StrCat(address_, ": ", response.message()));
      if (MayRetry(refusal.code())) {
        // Later batches must not overtake this one: all go round again.
        stream.refusal = refusal;
        break;
      }
    }
    Message message;
    {
      base::MutexLock lock(mutex_);
      if (under_way_.empty() || under_way_.front().batch != response.batch()) {
        stream.refusal = absl::InternalError(absl::StrCat(
            address_, ": answered batch ", response.batch(), " out of order"));
        break;
      }
      message = std::move(under_way_.front());
      under_way_.pop_front();
      changed_.NotifyAll();
    }
    Settle(std::move(message), response);
  }
  if (!stream.refusal.ok()) stream.transport->Cancel();
  stream.broken = true;
  queue_.Wake();
  base::MutexLock lock(mutex_);
  changed_.NotifyAll();
}

void PushClient::Settle(Message message, const v1::PushResponse& response) {
  absl::Status status;
  if (response.code() != 0) {
    status = absl::Status(static_cast<absl::StatusCode>(response.code()),
                          absl::StrCat(address_, ": ", response.message()));
    log_.Error("ingester refused a batch", {{"err", status.ToString()}});
  }
  NoteSuccess();
  metrics_.batches.Inc();
  metrics_.seconds.Observe(
      static_cast<double>(base::Clock::System().MonotonicNs() -
                          message.sent_ns) /
      1e9);
  std::vector<PushPart> again;
  const auto by_part = RejectionsByPart(message.parts, response);
  for (std::size_t i = 0; i < message.parts.size(); ++i) {
    PushPart& part = message.parts[i];
    const std::size_t size = part.size();
    std::vector<storage::Rejection> rejected;
    PushPart forgotten;
    if (part.all_or_none && !part.redeclared && AnyUnknown(by_part[i])) {
      // Nothing of it was taken.
      series_.Undeclare(part);
      part.redeclared = true;
      again.push_back(std::move(part));
      continue;
    }
    for (const storage::Rejection& one : by_part[i]) {
      if (one.reason == storage::RejectReason::kUnknownSeries &&
          !part.redeclared) {
        TakeOne(one.index, part, &forgotten);
        continue;
      }
      metrics_.rejected
          .With({ReasonName(static_cast<v1::RejectReason>(one.reason))})
          .Inc();
      rejected.push_back({part.PositionOf(one.index), one.reason});
      if (part.pending == nullptr && options_.replication_factor == 1 &&
          options_.on_late_rejection) {
        options_.on_late_rejection(
            one.reason,
            one.index >= part.samples.size() + part.histograms.size());
      }
    }
    if (status.ok()) {
      metrics_.samples.Inc(
          static_cast<double>(size - rejected.size() - forgotten.size()));
    } else {
      metrics_.rejected.With({"refused_batch"}).Inc(static_cast<double>(size));
    }
    if (forgotten.empty()) {
      if (part.pending) part.pending->Finish(status, rejected);
      continue;
    }
    series_.Undeclare(forgotten);
    if (part.pending) part.pending->Keep(rejected);
    forgotten.pending = part.pending;
    forgotten.TakeOriginOf(part);
    forgotten.redeclared = true;
    again.push_back(std::move(forgotten));
  }
  if (!again.empty()) queue_.PutUrgent(std::move(again));
  if (message.on_disk.has_value()) spool_->Commit(*message.on_disk);
}

void PushClient::PutBackUnanswered() {
  std::vector<PushPart> parts;
  base::MutexLock order(order_mutex_);
  {
    base::MutexLock lock(mutex_);
    for (Message& message : under_way_) {
      if (message.on_disk.has_value()) continue;
      for (PushPart& part : message.parts) {
        part.resent = true;
        parts.push_back(std::move(part));
      }
    }
    under_way_.clear();
  }
  if (spool_ != nullptr) spool_->Rewind();
  queue_.PutBack(std::move(parts));
}

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
      Finish(TakePending(&parts));
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
    Finish(TakePending(&parts));
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

void PushClient::NoteSuccess() {
  base::MutexLock lock(mutex_);
  if (trouble_.ok()) return;
  trouble_ = absl::OkStatus();
  log_.Info("ingester takes samples again");
}

}  // namespace narthex::cluster::internal
