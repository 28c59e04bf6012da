#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/rpc/local_pipe.h"

namespace google::protobuf {
class MessageLite;
}  // namespace google::protobuf

namespace narthex::rpc {

/// A call to a LocalServer. Used by one thread.
class LocalStream {
 public:
  virtual ~LocalStream() = default;
  /// The next response. False at the end; then status() says whether that was
  /// all: what the handler said, or kDeadlineExceeded, kCancelled,
  /// kUnavailable.
  virtual bool Read(google::protobuf::MessageLite* response) = 0;
  virtual const absl::Status& status() const = 0;
};

/// Calls the LocalServer that stands beside the gRPC server at an address.
/// Thread-safe.
class LocalChannel {
 public:
  /// `address` is host:port, as for NewChannel().
  explicit LocalChannel(absl::string_view address);
  ~LocalChannel();

  /// Opens a pipe for calls of a method; null when no such server can be
  /// reached.
  std::unique_ptr<LocalPipe> OpenPipe(absl::string_view method);

  /// Starts a call; null when no such server can be reached, which is how it
  /// is when `address` is not on this machine. `cancelled`, which may be null,
  /// ends it.
  std::unique_ptr<LocalStream> Call(
      absl::string_view method, const google::protobuf::MessageLite& request,
      std::chrono::system_clock::time_point deadline,
      const std::atomic<bool>* cancelled);

 private:
  class Rep;
  std::shared_ptr<Rep> rep_;  // Null when the address is elsewhere.
};

}  // namespace narthex::rpc
