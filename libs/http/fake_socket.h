#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <list>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/mutex.h"

/// For the tests of clients: servers that say just what a test wants.
namespace narthex::http {

/// Listens on a free port of 127.0.0.1 and gives every connection to a
/// function, on a thread of its own, that ends when the function returns.
class FakeSocket {
 public:
  using Serve = std::function<void(int fd)>;

  explicit FakeSocket(Serve serve) : serve_(std::move(serve)) {
    listener_ = base::UniqueFd(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    REQUIRE(::bind(listener_.get(), generic, size) == 0);
    REQUIRE(::listen(listener_.get(), 16) == 0);
    REQUIRE(::getsockname(listener_.get(), generic, &size) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Accept(); });
  }
  /// Shuts open connections down and waits for their functions.
  ~FakeSocket() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
    base::MutexLock lock(mutex_);
    for (auto& [fd, thread] : connections_) ::shutdown(fd.get(), SHUT_RDWR);
    for (auto& [fd, thread] : connections_) thread.join();
  }

  int port() const { return port_; }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

 private:
  void Accept() {
    for (;;) {
      base::UniqueFd fd(::accept(listener_.get(), nullptr, nullptr));
      if (!fd) return;
      const int raw = fd.get();
      base::MutexLock lock(mutex_);
      connections_.emplace_back(std::move(fd), std::thread([this, raw] {
                                  serve_(raw);
                                  ::shutdown(raw, SHUT_RDWR);
                                }));
    }
  }

  const Serve serve_;
  base::UniqueFd listener_;
  int port_ = 0;
  base::Mutex mutex_;
  std::list<std::pair<base::UniqueFd, std::thread>> connections_
      ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

/// Reads to the end of a request's head; empty when the peer hung up.
inline std::string ReadHead(int fd) {
  std::string head;
  char byte = 0;
  while (head.find("\r\n\r\n") == std::string::npos) {
    if (::recv(fd, &byte, 1, 0) != 1) return "";
    head += byte;
  }
  return head;
}

inline void SendAll(int fd, const std::string& text) {
  std::size_t sent = 0;
  while (sent < text.size()) {
    const auto n =
        ::send(fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return;
    sent += static_cast<std::size_t>(n);
  }
}

/// A connection to a port of this machine.
inline base::UniqueFd Connect(int port) {
  base::UniqueFd fd(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address),
                sizeof(address)) != 0) {
    fd.reset();
  }
  return fd;
}

/// Passes bytes both ways until one side ends.
inline void Relay(int a, int b) {
  std::array<char, 16384> buffer;
  for (;;) {
    std::array<pollfd, 2> fds{{{a, POLLIN, 0}, {b, POLLIN, 0}}};
    if (::poll(fds.data(), fds.size(), -1) < 0) return;
    for (std::size_t i = 0; i < 2; ++i) {
      if (fds[i].revents == 0) continue;
      const auto n = ::recv(fds[i].fd, buffer.data(), buffer.size(), 0);
      if (n <= 0) return;
      SendAll(fds[1 - i].fd,
              std::string(buffer.data(), static_cast<std::size_t>(n)));
    }
  }
}

}  // namespace narthex::http
