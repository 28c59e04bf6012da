#include "libs/cluster/internal/push_client.h"

#include <grpcpp/channel.h>

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

// Only a malformed batch would fare no better the next time.
bool MayRetry(absl::StatusCode code) {
  return code != absl::StatusCode::kInvalidArgument;
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
    if (!under_way_.empty()) {
      if (stream_ != nullptr) stream_->transport->Cancel();
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

void PushClient::NoteSuccess() {
  base::MutexLock lock(mutex_);
  if (trouble_.ok()) return;
  trouble_ = absl::OkStatus();
  log_.Info("ingester takes samples again");
}

}  // namespace narthex::cluster::internal
