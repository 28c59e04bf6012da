#pragma once

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "libs/base/file.h"
#include "libs/base/mutex.h"
#include "libs/http/direct_loop.h"
#include "libs/http/response_reader.h"

namespace narthex::http {

/// A request and what has come of its answer.
struct DirectLoop::Exchange {
  FetchRequest request;
  Callback done;
  std::int64_t started_ns = 0;
  std::string text;  // Of the request.
  std::size_t sent = 0;
  ResponseReader reader;
  std::string input = {};       // What came before the answer was complete.
  std::size_t input_bytes = 0;  // Of it that are filled.
  BodyClaim claim = {};
};

/// A connection with the exchange under way on it, if any.
struct DirectLoop::Connection {
  base::UniqueFd fd;
  const std::string host_port;
  // Exchanges that have ended; the next has this number.
  std::atomic<std::uint64_t> ended{0};
  // Whether it is among its peer's; with mutex_ of the loop.
  bool idle = false;
  std::int64_t idle_since_ns = 0;

  base::Mutex mutex;
  std::unique_ptr<Exchange> exchange ABSL_GUARDED_BY(mutex);
  bool connecting ABSL_GUARDED_BY(mutex) = false;
  int low_water ABSL_GUARDED_BY(mutex) = 1;

  Connection(base::UniqueFd socket, std::string peer)
      : fd(std::move(socket)), host_port(std::move(peer)) {}

  // Sends and receives what it can after `events`; a first piece is received
  // into `*shared`, which is all room. Sets `*os_error` with kGone and kCut.
  Progress Move(int epoll, std::uint32_t events, std::string* shared,
                int* os_error) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  Progress Read(std::string* shared, int* os_error)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // Ends the exchange.
  std::unique_ptr<Exchange> Take() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    if (exchange != nullptr) ++ended;
    return std::move(exchange);
  }
  // Wakes the thread only for so many bytes.
  void WaitForBytes(std::size_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    constexpr std::size_t kMost = 1 << 20;
    const int wanted =
        static_cast<int>(std::clamp<std::size_t>(bytes, 1, kMost));
    if (wanted == low_water) return;
    low_water = wanted;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof(wanted));
  }
  // What the thread is to be told beside the end of the connection.
  void Watch(int epoll, int operation, std::uint32_t events) {
    epoll_event event{};
    event.events = events | EPOLLRDHUP;
    event.data.ptr = this;
    ::epoll_ctl(epoll, operation, fd.get(), &event);
  }
};

}  // namespace narthex::http
