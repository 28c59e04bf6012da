#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "libs/base/file.h"
#include "libs/base/mutex.h"
#include "libs/http/client.h"
#include "libs/http/direct_request.h"

namespace narthex::http {

/// Asks servers over plain HTTP/1.1 with as few system calls and wake-ups as
/// possible: a request is sent by the caller's thread over a connection that is
/// kept, and one thread wakes once, when about all of the answer is there,
/// reads it in one piece and hands it over where it lies.
///
/// What is out of the ordinary goes to a complete client instead, from the
/// beginning, as GETs may: a connection that fails before an answer begins, a
/// redirect, a framing or an encoding that is not understood, a host name
/// whose address is not known (the other client's answer tells it). Such a
/// server is left to the other client for a while. Thread-safe.
class DirectLoop {
 public:
  using Callback = Client::BodyCallback;
  using Other = std::function<void(FetchRequest, Callback)>;

  /// `other` must do until the destructor has returned.
  DirectLoop(const ClientOptions& options, Other other);
  /// Cancels what is under way; its callbacks run before this returns.
  ~DirectLoop();

  /// The same, early: nothing may be fetched any more.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

  /// `request` must be direct, see IsDirect().
  void Fetch(FetchRequest request, Callback done) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Exchange;
  struct Connection;
  enum class Progress {
    kMore,
    kDone,
    kGone,       // The connection has ended before an answer began,
    kCut,        // or in the middle of it.
    kIrregular,  // The answer is not understood.
    kTooLarge,
    kNoRoom,  // The budget of bodies refuses it.
    kLate,
  };
  // What is known of a host and port.
  struct Peer {
    bool has_address = false;
    SocketAddress address;
    // Until then it is left to the other client.
    std::int64_t avoid_until_ns = 0;
    std::int64_t used_ns = 0;
    std::vector<std::shared_ptr<Connection>> idle;
  };
  // Something to look at when its time has come, unless it is over.
  struct Due {
    std::int64_t at_ns = 0;
    std::shared_ptr<Connection> connection;
    std::uint64_t exchange = 0;
    bool operator<(const Due& other) const { return at_ns > other.at_ns; }
  };

  void Start(const std::shared_ptr<Connection>& connection,
             std::unique_ptr<Exchange> exchange);
  // Null when no socket can be had.
  std::shared_ptr<Connection> Connect(const std::string& host_port,
                                      const SocketAddress& address)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AskOther(std::unique_ptr<Exchange> exchange, bool learn)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void Learn(const std::string& host_port, const FetchResult& result,
             const std::string& url) ABSL_LOCKS_EXCLUDED(mutex_);
  void Avoid(const std::string& host_port) ABSL_LOCKS_EXCLUDED(mutex_);
  // Forgets the address unless the name is one. True when it did.
  bool ForgetAddress(const std::string& host_port) ABSL_LOCKS_EXCLUDED(mutex_);

  void Run();
  void Wake() const;
  std::int64_t SleepUntil(std::int64_t now_ns) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnEvent(Connection& connection, std::uint32_t events);
  void LookAtDue(std::int64_t now_ns) ABSL_LOCKS_EXCLUDED(mutex_);
  void End(Connection& connection, std::unique_ptr<Exchange> exchange,
           Progress progress, int os_error);
  void Deliver(Exchange& exchange);
  void Fail(Exchange& exchange, Progress progress, int os_error);
  void Report(Exchange& exchange, FetchResult result, ReceivedBody& body);
  // Makes the connection idle, or closes it when there are enough of those.
  void Keep(Connection& connection) ABSL_LOCKS_EXCLUDED(mutex_);
  void CloseIfIdle(Connection& connection) ABSL_LOCKS_EXCLUDED(mutex_);
  void Close(Connection& connection) ABSL_LOCKS_EXCLUDED(mutex_);
  void DropOld(std::int64_t now_ns) ABSL_LOCKS_EXCLUDED(mutex_);
  void CancelAll() ABSL_LOCKS_EXCLUDED(mutex_);

  const ClientOptions options_;
  const Other other_;
  base::UniqueFd epoll_;
  base::UniqueFd wake_;
  // When the thread wakes by itself.
  std::atomic<std::int64_t> wakes_at_ns_{0};

  base::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::int64_t asked_ns_ ABSL_GUARDED_BY(mutex_) = 0;
  int idle_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::string, Peer> peers_ ABSL_GUARDED_BY(mutex_);
  // Only the thread takes any out.
  absl::flat_hash_map<Connection*, std::shared_ptr<Connection>> connections_
      ABSL_GUARDED_BY(mutex_);
  std::priority_queue<Due> deadlines_ ABSL_GUARDED_BY(mutex_);
  // Answers that may be shorter than was expected; ascending by time.
  std::deque<Due> guesses_ ABSL_GUARDED_BY(mutex_);

  // Of the thread alone.
  std::string received_;  // Its whole size is room to receive into.
  std::string decoded_;
  // Closed, but perhaps among the events at hand.
  std::vector<std::shared_ptr<Connection>> closed_;
  std::int64_t drop_old_at_ns_ = 0;

  std::thread thread_;
};

}  // namespace narthex::http
