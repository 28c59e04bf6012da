#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace grpc {
class Service;
}  // namespace grpc

namespace narthex::rpc {

/// A gRPC server with health checking and reflection. Serves from Start() to
/// Stop().
class Server {
 public:
  /// Listens on `address` (host:port, port 0 for any free one) and serves
  /// `services`, which must outlive the server. kUnavailable when the address
  /// cannot be listened on.
  static absl::StatusOr<std::unique_ptr<Server>> Start(
      const std::string& address, const std::vector<grpc::Service*>& services);
  ~Server();

  /// The port that it listens on.
  int port() const { return port_; }

  /// What health checks answer; serving at first.
  void SetServing(bool serving);

  /// Takes no more calls, lets running ones finish for `grace`, cancels the
  /// rest and waits for their handlers. Idempotent.
  void Stop(std::chrono::milliseconds grace);

 private:
  struct Rep;
  explicit Server(std::unique_ptr<Rep> rep);
  std::unique_ptr<Rep> rep_;
  int port_ = 0;
};

}  // namespace narthex::rpc
