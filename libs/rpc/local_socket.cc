#include "libs/rpc/local_socket.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace narthex::rpc {
namespace {

constexpr std::size_t kMinRead = 16 << 10;
constexpr std::size_t kMaxKept = 1 << 20;

}  // namespace

LocalName::LocalName(absl::string_view host, absl::string_view port) {
  const std::string name = absl::StrCat("narthex/", host, ":", port);
  address_.sun_family = AF_UNIX;
  // A leading zero makes the name one of the abstract namespace.
  const std::size_t length =
      std::min(name.size(), sizeof(address_.sun_path) - 1);
  std::memcpy(address_.sun_path + 1, name.data(), length);
  size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + length);
}

bool IsSameUser(int fd) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return false;
  }
  return peer.uid == ::geteuid() || peer.uid == 0;
}

bool SendAll(int fd, absl::string_view data) {
  while (!data.empty()) {
    const ssize_t sent = ::send(fd, data.data(), data.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      data.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

absl::StatusOr<absl::string_view> SocketReader::Take(
    std::size_t size, absl::FunctionRef<absl::Status()> waiting) {
  while (end_ - begin_ < size) {
    if (begin_ == end_) begin_ = end_ = 0;
    const std::size_t wanted = std::max(size - (end_ - begin_), kMinRead);
    if (buffer_.size() - end_ < wanted) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
      if (buffer_.size() < end_ + wanted) buffer_.resize(end_ + wanted);
    }
    const ssize_t got =
        ::recv(fd_, buffer_.data() + end_, buffer_.size() - end_, 0);
    if (got > 0) {
      end_ += static_cast<std::size_t>(got);
    } else if (got == 0) {
      return absl::UnavailableError("the connection has ended");
    } else if (errno == EAGAIN) {
      if (absl::Status status = waiting(); !status.ok()) return status;
    } else if (errno != EINTR) {
      return absl::UnavailableError("the connection is broken");
    }
  }
  const absl::string_view taken(buffer_.data() + begin_, size);
  begin_ += size;
  return taken;
}

void SocketReader::Shrink() {
  if (begin_ == end_ && buffer_.size() > kMaxKept) {
    begin_ = end_ = 0;
    std::string().swap(buffer_);
  }
}

}  // namespace narthex::rpc
