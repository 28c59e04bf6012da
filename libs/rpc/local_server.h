#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace google::protobuf {
class MessageLite;
}  // namespace google::protobuf

namespace narthex::rpc {

/// One call as its handler sees it. Used by one thread, but where it says so.
class LocalCall {
 public:
  virtual ~LocalCall() = default;
  /// The request, as a message is serialized.
  virtual absl::string_view request() const = 0;
  virtual std::chrono::system_clock::time_point deadline() const = 0;
  /// Whether nobody waits for the answer any more. Thread-safe.
  virtual bool IsCancelled() const = 0;
  /// One more response; false when nobody waits for it, or when it is too
  /// large, with which the call then fails. Small ones are kept until the end
  /// of the call, to be sent in one piece.
  virtual bool Send(const google::protobuf::MessageLite& response) = 0;
  /// What the calls of one connection keep from one to the next; null before
  /// the first has put something there.
  virtual std::shared_ptr<void>& state() = 0;
};

/// Serves, to processes of this machine and of the same user, some of the
/// methods that a Server offers by gRPC: the same messages over a Unix socket.
/// A small gRPC call costs more than most queries that it carries.
class LocalServer {
 public:
  using Handler = std::function<absl::Status(LocalCall& call)>;

  /// Beside the gRPC server that listens on `grpc_address` (host:port) at
  /// `port`. Each handler is for the method of its name; calls of one
  /// connection follow one another, connections have a thread each.
  /// kUnavailable when it cannot listen.
  static absl::StatusOr<std::unique_ptr<LocalServer>> Start(
      absl::string_view grpc_address, int port,
      std::map<std::string, Handler, std::less<>> handlers);
  /// Stops without grace.
  ~LocalServer();

  /// Takes no more calls, lets running ones finish for `grace`, then hangs up
  /// and waits for their handlers. Idempotent.
  void Stop(std::chrono::milliseconds grace);

 private:
  class Rep;
  explicit LocalServer(std::unique_ptr<Rep> rep);
  std::unique_ptr<Rep> rep_;
};

}  // namespace narthex::rpc
