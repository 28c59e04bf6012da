#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <cstdint>
#include <memory>

#include "absl/container/flat_hash_set.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/http/router.h"
#include "libs/http/server.h"

namespace narthex::http {

using Socket =
    boost::asio::basic_stream_socket<boost::asio::ip::tcp,
                                     boost::asio::io_context::executor_type>;

class Connection;

/// What all connections of a server share. Outlives them.
struct ConnectionContext {
  ConnectionContext(const ServerOptions& server_options,
                    const Router& server_router, base::Logger logger)
      : options(server_options),
        router(server_router),
        log(std::move(logger)) {}

  const ServerOptions& options;
  const Router& router;
  base::Logger log;
  std::function<void(const Exchange&)> observe;
  std::atomic<bool> stopping{false};
  /// Called around a handler: the server counts its busy threads.
  std::function<void()> on_handler_start;
  std::function<void()> on_handler_end;
  /// Asked before a thread waits for the next request of one connection; when
  /// it may, the other is called after that.
  std::function<bool()> may_linger;
  std::function<void()> on_lingered;
  /// Called after a connection left `open`.
  std::function<void()> on_close;

  base::Mutex mutex;
  absl::flat_hash_set<Connection*> open ABSL_GUARDED_BY(mutex);
};

/// One client's connection, from accept to close. It owns itself: pending
/// operations hold a shared_ptr. Exactly one operation is pending or one
/// handler running at any time, so its state needs no lock; the atomics are
/// for the server's sweeper.
class Connection {
 public:
  virtual ~Connection() = default;

  /// Ends both directions: a pending or blocked operation returns. Called
  /// with ConnectionContext::mutex held, so that the socket is still open.
  void CutOff();
  bool idle() const { return idle_.load(std::memory_order_relaxed); }
  std::int64_t deadline_ns() const {
    return deadline_ns_.load(std::memory_order_relaxed);
  }

 protected:
  explicit Connection(int fd) : fd_(fd) {}
  void ExpectWithin(std::int64_t timeout_ms);
  int fd() const { return fd_; }

  const int fd_;
  std::atomic<bool> idle_{true};
  std::atomic<std::int64_t> deadline_ns_{0};
};

/// Serves an accepted socket until it closes; over TLS when `tls` is given.
void ServeConnection(Socket socket, ConnectionContext& context,
                     boost::asio::ssl::context* tls);

}  // namespace narthex::http
