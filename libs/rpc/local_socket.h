#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

/// What both ends of a local call share. Numbers are in the machine's own byte
/// order: the ends never are on two machines.
namespace narthex::rpc {

/// Before each request: then come the method's name and the message.
struct LocalRequestHead {
  std::uint32_t timeout_ms = 0;
  std::uint32_t method_bytes = 0;
  std::uint32_t message_bytes = 0;
};

/// Before each thing that a server says.
struct LocalResponseHead {
  enum Kind : std::uint32_t {
    kMessage,
    kEnd,    ///< A code of absl::StatusCode, 4 bytes, and the text.
    kAlive,  ///< Nothing; the call is still being worked on.
  };
  std::uint32_t kind = kMessage;
  std::uint32_t bytes = 0;
};

/// The name, in the abstract namespace of Unix sockets, of who serves gRPC at
/// `host`, an address of this machine, and `port`. That namespace is the
/// network namespace's, as the port is.
class LocalName {
 public:
  LocalName(absl::string_view host, absl::string_view port);
  const sockaddr* address() const {
    return reinterpret_cast<const sockaddr*>(&address_);
  }
  socklen_t size() const { return size_; }

 private:
  sockaddr_un address_{};
  socklen_t size_ = 0;
};

/// Whether the other end of a connected socket runs as our user, or as root.
bool IsSameUser(int fd);

/// False when the other end is gone, or takes nothing for long.
bool SendAll(int fd, absl::string_view data);

/// Reads a socket through a buffer.
class SocketReader {
 public:
  explicit SocketReader(int fd) : fd_(fd) {}

  /// The next `size` bytes, valid until the next call. kUnavailable when the
  /// other end is gone. Whenever the socket's receive timeout has passed,
  /// `waiting` decides whether to go on.
  absl::StatusOr<absl::string_view> Take(
      std::size_t size, absl::FunctionRef<absl::Status()> waiting);
  /// Gives memory back that large messages took.
  void Shrink();
  /// Whether all that came has been taken.
  bool empty() const { return begin_ == end_; }

 private:
  const int fd_;
  std::string buffer_;  // What is not yet taken is between begin_ and end_.
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

/// Appends the bytes of a head.
template <typename Head>
void AppendHead(const Head& head, std::string* out) {
  out->append(reinterpret_cast<const char*>(&head), sizeof(head));
}

}  // namespace narthex::rpc
