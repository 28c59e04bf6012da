#include "libs/cluster/internal/select_stream.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <thread>
#include <utility>

#include "libs/base/mutex.h"
#include "libs/base/status.h"
#include "libs/cluster/wire.h"

namespace narthex::cluster::internal {
namespace {

using Sets = std::vector<std::unique_ptr<storage::ChunkSeriesSet>>;
using std::chrono::milliseconds;

// Messages that are received before they are asked for, of each ingester.
constexpr std::size_t kAhead = 2;
// How often a waiting reader looks whether its query is cancelled.
constexpr milliseconds kLookEvery{20};

/// The messages of one ingester.
class MessageSource {
 public:
  virtual ~MessageSource() = default;
  /// False at the end; then status() says whether that was all.
  virtual bool Read(v1::SelectResponse* message) = 0;
  /// What was read makes no sense: ends it.
  virtual void Fail(const absl::Status& why) = 0;
  virtual absl::Status status() const = 0;
  virtual const std::string& peer() const = 0;
};

/// The series in the messages of one ingester.
class MessageSet : public storage::ChunkSeriesSet {
 public:
  explicit MessageSet(std::unique_ptr<MessageSource> source)
      : source_(std::move(source)) {}

  bool Next(storage::ChunkSeries* series) override {
    while (next_ == message_.series_size()) {
      next_ = 0;
      message_.Clear();
      if (!source_->Read(&message_)) {
        message_.Clear();
        return false;
      }
    }
    const absl::Status status =
        FromWire(message_.mutable_series(next_++), series);
    if (status.ok()) return true;
    source_->Fail(base::Annotate(status, source_->peer()));
    message_.Clear();
    next_ = 0;
    return false;
  }

  absl::Status status() const override { return source_->status(); }

 private:
  const std::unique_ptr<MessageSource> source_;
  v1::SelectResponse message_;
  int next_ = 0;  // Of its series.
};

/// The messages of a call of its own.
class CallSource : public MessageSource {
 public:
  CallSource(std::shared_ptr<IngesterPeer> peer,
             const v1::SelectRequest& request, const CallLimits& limits)
      : peer_(std::move(peer)), call_(StartSelect(*peer_, request, limits)) {}

  bool Read(v1::SelectResponse* message) override {
    return failure_.ok() && call_->Read(message);
  }
  void Fail(const absl::Status& why) override {
    failure_ = why;
    call_->Cancel();
  }
  absl::Status status() const override {
    return failure_.ok() ? call_->status() : failure_;
  }
  const std::string& peer() const override { return peer_->address; }

 private:
  const std::shared_ptr<IngesterPeer> peer_;
  const std::unique_ptr<SelectCall> call_;
  absl::Status failure_;
};

/// One selection from all replicas. A thread for each of them receives ahead
/// of what is taken, so that it shows who is silent while others are not.
class ReplicatedSelect {
 public:
  ReplicatedSelect(const IngesterPeers& peers, v1::SelectRequest request,
                   const CallLimits& limits, const Absences& absences)
      : request_(std::move(request)), limits_(limits), absences_(absences) {
    for (const auto& peer : peers) {
      lanes_.push_back(std::make_unique<Lane>(peer));
    }
    for (const auto& lane : lanes_) {
      lane->receiver = std::thread([this, one = lane.get()] { Receive(*one); });
    }
  }

  ~ReplicatedSelect() {
    {
      base::MutexLock lock(mutex_);
      for (const auto& lane : lanes_) lane->cancelled = true;
      changed_.NotifyAll();
    }
    for (const auto& lane : lanes_) lane->receiver.join();
  }
  ReplicatedSelect(const ReplicatedSelect&) = delete;
  ReplicatedSelect& operator=(const ReplicatedSelect&) = delete;

  /// The next message of replica `i`; false at its end.
  bool Take(std::size_t i, v1::SelectResponse* message)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    Lane& lane = *lanes_[i];
    std::optional<std::chrono::steady_clock::time_point> silent_since;
    base::MutexLock lock(mutex_);
    while (!lane.over) {
      if (!lane.messages.empty()) {
        *message = std::move(lane.messages.front());
        lane.messages.pop_front();
        changed_.NotifyAll();
        return true;
      }
      if (lane.ended) {
        if (lane.end.ok()) absences_.NoteAnswer(*lane.peer);
        Close(lane,
              lane.end.ok() ? lane.end : absences_.Note(*lane.peer, lane.end));
      } else if (limits_.cancelled != nullptr && limits_.cancelled->load()) {
        Close(lane, absl::CancelledError("query was canceled"));
      } else if (SilentLanes() > absences_.left()) {
        silent_since.reset();
        changed_.WaitFor(mutex_, kLookEvery);
      } else {
        const auto now = std::chrono::steady_clock::now();
        if (!silent_since.has_value()) silent_since = now;
        if (now - *silent_since >= Absences::PatienceWith(*lane.peer)) {
          Close(lane, absences_.NoteSilent(*lane.peer));
        } else {
          changed_.WaitFor(mutex_, kLookEvery);
        }
      }
    }
    return false;
  }

  void Fail(std::size_t i, const absl::Status& why)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    base::MutexLock lock(mutex_);
    Close(*lanes_[i], absences_.Note(*lanes_[i]->peer, why));
  }

  absl::Status StatusOf(std::size_t i) const ABSL_LOCKS_EXCLUDED(mutex_) {
    base::ReaderMutexLock lock(mutex_);
    return lanes_[i]->status;
  }

  const std::string& PeerOf(std::size_t i) const {
    return lanes_[i]->peer->address;
  }

 private:
  // All but the peer, the flag and the thread belongs to mutex_.
  struct Lane {
    explicit Lane(std::shared_ptr<IngesterPeer> its_peer)
        : peer(std::move(its_peer)) {}

    const std::shared_ptr<IngesterPeer> peer;
    std::atomic<bool> cancelled{false};
    std::thread receiver;
    std::deque<v1::SelectResponse> messages;
    // Nothing more is received, and why.
    bool ended = false;
    absl::Status end;
    // Nothing more is taken, and what that means to the whole.
    bool over = false;
    absl::Status status;
  };

  void Receive(Lane& lane) ABSL_LOCKS_EXCLUDED(mutex_) {
    CallLimits limits = limits_;
    limits.cancelled = &lane.cancelled;
    const auto call = StartSelect(*lane.peer, request_, limits);
    v1::SelectResponse message;
    while (call->Read(&message)) {
      base::MutexLock lock(mutex_);
      while (lane.messages.size() >= kAhead && !lane.cancelled) {
        changed_.Wait(mutex_);
      }
      if (lane.cancelled) break;
      lane.messages.push_back(std::move(message));
      message.Clear();
      changed_.NotifyAll();
    }
    base::MutexLock lock(mutex_);
    lane.ended = true;
    lane.end = call->status();
    changed_.NotifyAll();
  }

  void Close(Lane& lane, absl::Status status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    lane.over = true;
    lane.cancelled = true;
    lane.messages.clear();
    lane.status = std::move(status);
    changed_.NotifyAll();
  }

  std::size_t SilentLanes() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return static_cast<std::size_t>(
        std::count_if(lanes_.begin(), lanes_.end(), [](const auto& lane) {
          return !lane->over && !lane->ended && lane->messages.empty();
        }));
  }

  const v1::SelectRequest request_;
  const CallLimits limits_;
  mutable base::Mutex mutex_;
  base::CondVar changed_;
  Absences absences_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Lane>> lanes_;
};

/// The messages of one replica.
class ReplicaSource : public MessageSource {
 public:
  ReplicaSource(std::shared_ptr<ReplicatedSelect> select, std::size_t number)
      : select_(std::move(select)), number_(number) {}

  bool Read(v1::SelectResponse* message) override {
    return select_->Take(number_, message);
  }
  void Fail(const absl::Status& why) override { select_->Fail(number_, why); }
  absl::Status status() const override { return select_->StatusOf(number_); }
  const std::string& peer() const override { return select_->PeerOf(number_); }

 private:
  const std::shared_ptr<ReplicatedSelect> select_;
  const std::size_t number_;
};

}  // namespace

std::unique_ptr<SelectCall> StartSelect(const IngesterPeer& peer,
                                        const v1::SelectRequest& request,
                                        const CallLimits& limits) {
  return std::make_unique<SelectCall>(
      peer.address, limits,
      peer.local.Call("Select", request, limits.deadline, limits.cancelled),
      [&](auto* context, auto* queue, void* tag) {
        return peer.stub->AsyncSelect(context, request, queue, tag);
      });
}

Sets StreamSelections(const IngesterPeers& peers,
                      const v1::SelectRequest& request,
                      const CallLimits& limits) {
  Sets sets;
  for (const auto& peer : peers) {
    sets.push_back(std::make_unique<MessageSet>(
        std::make_unique<CallSource>(peer, request, limits)));
  }
  return sets;
}

Sets StreamReplicas(const IngesterPeers& peers,
                    const v1::SelectRequest& request, const CallLimits& limits,
                    const Absences& absences) {
  const auto select =
      std::make_shared<ReplicatedSelect>(peers, request, limits, absences);
  Sets sets;
  for (std::size_t i = 0; i < peers.size(); ++i) {
    sets.push_back(std::make_unique<MessageSet>(
        std::make_unique<ReplicaSource>(select, i)));
  }
  return sets;
}

}  // namespace narthex::cluster::internal
