#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/mutex.h"
#include "libs/http/body_budget.h"
#include "libs/http/client_config.h"
#include "libs/http/message.h"

namespace narthex::http {

class DirectLoop;

struct FetchRequest {
  std::string url = {};
  std::string method = "GET";
  Headers headers = {};
  std::string body = {};
  /// Null: the defaults of ClientConfig.
  std::shared_ptr<const ClientConfig> config = nullptr;
  /// For the whole exchange; 0 is no limit.
  std::int64_t timeout_ms = 0;
  /// Largest body, after decompression; 0 is no limit.
  std::int64_t max_body_bytes = 0;
  /// Of which a ReceivedBody claims its memory; outlives that. Null: of none.
  BodyBudget* budget = nullptr;
  /// Asks for gzip. What comes in gzip or zstd is decoded in any case.
  bool accept_gzip = true;
  /// A packed body that holds more is handed over packed, as FetchResult says:
  /// it would hold up the others. 0: all are decoded.
  std::int64_t most_decoded_bytes = 0;
  /// Path of a Unix socket to connect to in place of the URL's host.
  std::string unix_socket = {};
  /// How long the body was the last time, as it came over the wire; 0 when
  /// that is not known. Whoever knows is disturbed less often.
  std::int64_t expected_bytes = 0;
  /// Whether the connection may be used for other requests afterwards.
  bool keep_connection = true;
  /// When set, takes the body piece by piece as it comes, which for a stream
  /// may be for ever. Runs on the client's thread.
  std::function<void(absl::string_view)> on_body = {};
};

/// What came back. An HTTP error status is an answer, not an error.
struct FetchResult {
  /// kDeadlineExceeded `Get "url": context deadline exceeded`, kUnavailable
  /// `Get "url": dial tcp 127.0.0.1:1: connect: connection refused`,
  /// kResourceExhausted "body size limit exceeded", kCancelled: worded as Go
  /// does, since people see them as a target's last error. kUnavailable, too,
  /// when the budget refuses the body.
  absl::Status status;
  int code = 0;
  Headers headers;
  /// After redirects.
  std::string effective_url;
  double seconds = 0;
  /// Bytes of the body as they came over the wire.
  std::int64_t wire_bytes = 0;
  /// How the body is packed still, for DecodeContent(); empty: it is not.
  std::string packed = {};
  /// The address of who answered; empty when that is of no interest.
  std::string remote_ip;
};

/// A body in the buffer in which it was received.
struct ReceivedBody {
  std::string buffer = {};
  std::size_t begin = 0;
  std::size_t size = 0;
  BodyClaim claim = {};

  absl::string_view view() const { return {buffer.data() + begin, size}; }
};

struct ClientOptions {
  /// Idle connections kept open for reuse.
  int max_idle_connections = 2000;
  std::int64_t connect_timeout_ms = 30 * 1000;
  std::string user_agent = "Narthex";
};

/// Sends requests over kept-alive connections, all on one thread: thousands
/// may be under way at once. Thread-safe.
class Client {
 public:
  explicit Client(ClientOptions options = {});
  /// Cancels what is under way; its callbacks run before this returns.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Runs on the client's thread: hand over and return.
  using Callback = std::function<void(FetchResult)>;
  using FetchId = std::uint64_t;

  /// Starts a request. The body goes into `*body` (cleared first, its
  /// capacity reused), which the caller leaves alone until `done` runs.
  FetchId Fetch(FetchRequest request, std::string* body, Callback done);
  /// The same with the body where it lies: `done` may use it while it runs, or
  /// move it away. Asks plain servers without secrets in between at a fraction
  /// of the cost. Cannot be cancelled. Runs on one of two threads.
  using BodyCallback = std::function<void(FetchResult, ReceivedBody&)>;
  void Fetch(FetchRequest request, BodyCallback done)
      ABSL_LOCKS_EXCLUDED(mutex_);

  /// Ends a request early: its callback runs with kCancelled, unless it is
  /// already done.
  void Cancel(FetchId id);

  /// Waits for the answer.
  FetchResult Fetch(FetchRequest request, std::string* body);

 private:
  class Loop;
  void FetchByLoop(FetchRequest request, BodyCallback done);

  const ClientOptions options_;
  std::unique_ptr<Loop> loop_;
  base::Mutex mutex_;
  // Made at its first use.
  std::unique_ptr<DirectLoop> direct_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::http
