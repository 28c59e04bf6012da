#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/log.h"
#include "libs/http/router.h"
#include "libs/metrics/metrics.h"

namespace narthex::http {

/// Certificate and client verification of a TLS server, as files in PEM.
struct ServerTls {
  std::string cert_file;
  std::string key_file;
  /// Signs the certificates of clients, where they are verified.
  std::string client_ca_file;
  enum class ClientAuth {
    kNone,
    kRequest,
    kRequireAny,
    kVerifyIfGiven,
    kRequireAndVerify,
  };
  ClientAuth client_auth = ClientAuth::kNone;
  /// "TLS10" .. "TLS13"; empty: from 1.2 on.
  std::string min_version;
  std::string max_version;
};

/// What happened to one request, for metrics of a service's own.
struct Exchange {
  const std::string& handler;  // The route's name.
  const std::string& method;
  int status = 0;
  double seconds = 0;
  std::size_t request_bytes = 0;
  std::size_t response_bytes = 0;
  bool aborted = false;  // See Response::Abort().
};

struct ServerOptions {
  /// "host:port", ":port" or "[::1]:port"; port 0 takes a free one.
  std::string address = "127.0.0.1:0";
  /// Threads that are always there; more join while handlers block, up to one
  /// for each connection. 0: as many as cores, at least 2.
  int threads = 0;
  /// Connections beyond this wait in the backlog until one closes.
  int max_connections = 512;
  /// Longest time for reading one request, and idle between two.
  std::int64_t read_timeout_ms = 5 * 60 * 1000;
  /// A client that accepts no byte for so long is cut off.
  std::int64_t write_timeout_ms = 60 * 1000;
  std::size_t max_header_bytes = 1 << 20;
  /// Bodies of at least this size are compressed for clients that accept it.
  std::size_t min_gzip_bytes = 1400;
  /// When set, the metrics prometheus_http_requests_total,
  /// prometheus_http_request_duration_seconds and
  /// prometheus_http_response_size_bytes.
  metrics::Registry* registry = nullptr;
  /// Asked before every request, whatever its path; when it returns false it
  /// has answered. It may add headers to the answer either way.
  std::function<bool(const Request&, Response&)> admit = {};
  /// Called after every answered request, on the serving thread.
  std::function<void(const Exchange&)> observer = {};
  std::shared_ptr<const ServerTls> tls = nullptr;
};

/// An HTTP/1.1 server: keep-alive, pipelining, HEAD, gzip, chunked streams.
/// Thread-safe.
class Server {
 public:
  /// Binds at once and serves `router` (which must outlive the server) from
  /// then on. kUnavailable "listen tcp host:port: bind: address already in
  /// use" when it cannot; kInvalidArgument for a malformed address.
  static absl::StatusOr<std::unique_ptr<Server>> Start(ServerOptions options,
                                                       const Router& router,
                                                       base::Logger log);
  /// Stops with a timeout of a second.
  ~Server();

  int port() const;
  /// "host:port" with the real port.
  const std::string& address() const;

  /// Accepts no more, lets running requests finish, closes what is idle.
  /// Whatever still runs after `timeout_ms` is cut off; a handler that does
  /// not return is waited for.
  void Stop(std::int64_t timeout_ms);

 private:
  class State;
  explicit Server(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace narthex::http
