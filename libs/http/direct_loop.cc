#include "libs/http/direct_loop.h"

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "libs/base/clock.h"
#include "libs/http/direct_connection.h"
#include "libs/http/url.h"

namespace narthex::http {
namespace {

constexpr int kMaxEvents = 256;
constexpr std::int64_t kNsPerMs = 1'000'000;
// An answer is waited for as a whole, by the size of the last one, for so
// long; it may be shorter.
constexpr std::int64_t kGuessNs = 100 * kNsPerMs;
constexpr std::int64_t kLeastGuessedMs = 5 * kGuessNs / kNsPerMs;
// The longest sleep while requests come, which then need not wake the thread
// for what is to be looked at later, and while none do.
constexpr std::int64_t kBusySleepNs = 2 * kGuessNs;
constexpr std::int64_t kIdleSleepNs = 60'000 * kNsPerMs;
constexpr std::int64_t kBusyForNs = 1'000 * kNsPerMs;
constexpr std::int64_t kAvoidNs = 600'000 * kNsPerMs;
// Go's IdleConnTimeout of scrapes.
constexpr std::int64_t kMaxIdleNs = 300'000 * kNsPerMs;
constexpr std::int64_t kDropOldEveryNs = 30'000 * kNsPerMs;
std::int64_t NowNs() { return base::Clock::System().MonotonicNs(); }

}  // namespace

DirectLoop::DirectLoop(const ClientOptions& options, Other other)
    : options_(options), other_(std::move(other)) {
  epoll_ = base::UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  wake_ = base::UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event);
  thread_ = std::thread([this] { Run(); });
}

DirectLoop::~DirectLoop() { Stop(); }

void DirectLoop::Stop() {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
  }
  Wake();
  if (thread_.joinable()) thread_.join();
}

void DirectLoop::Fetch(FetchRequest request, Callback done) {
  const DirectUrl url = *SplitDirectUrl(request.url);
  const std::string host_port(url.host_port);
  std::string text = DirectRequestText(request, url, options_.user_agent);
  const std::int64_t now_ns = NowNs();
  const std::int64_t deadline_ns = now_ns + request.timeout_ms * kNsPerMs;
  const std::int64_t max_body = request.max_body_bytes;
  // Waiting for the wrong size must not cost an exchange all its time.
  if (request.timeout_ms < kLeastGuessedMs) request.expected_bytes = 0;
  const bool guess = request.expected_bytes > 0;
  auto exchange = std::make_unique<Exchange>(
      Exchange{std::move(request), std::move(done), now_ns, std::move(text), 0,
               ResponseReader(max_body)});
  exchange->claim = BodyClaim(exchange->request.budget);
  std::shared_ptr<Connection> connection;
  bool learn = false;
  {
    base::MutexLock lock(mutex_);
    Peer& peer = peers_[host_port];
    peer.used_ns = now_ns;
    asked_ns_ = now_ns;
    const bool avoided = now_ns < peer.avoid_until_ns;
    if (!peer.has_address && !avoided) {
      if (const auto address = SocketAddress::Of(
              UrlHost(exchange->request.url), UrlPort(exchange->request.url))) {
        peer.address = *address;
        peer.has_address = true;
      }
      learn = !peer.has_address;
    }
    if (!stopping_ && peer.has_address && !avoided) {
      if (!peer.idle.empty()) {
        connection = std::move(peer.idle.back());
        peer.idle.pop_back();
        connection->idle = false;
        --idle_;
      } else {
        connection = Connect(host_port, peer.address);
      }
    }
    if (connection != nullptr) {
      const std::uint64_t number = connection->ended;
      deadlines_.push({deadline_ns, connection, number});
      if (guess) guesses_.push_back({now_ns + kGuessNs, connection, number});
    }
  }
  if (connection == nullptr) {
    AskOther(std::move(exchange), learn);
    return;
  }
  Start(connection, std::move(exchange));
  // It is no harm when a guess is looked at a little late.
  const std::int64_t look_ns =
      guess ? std::min(deadline_ns, now_ns + kBusySleepNs) : deadline_ns;
  if (look_ns < wakes_at_ns_) Wake();
}

std::shared_ptr<DirectLoop::Connection> DirectLoop::Connect(
    const std::string& host_port, const SocketAddress& address) {
  base::UniqueFd fd(::socket(address.storage.ss_family,
                             SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return nullptr;
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage),
                address.size) != 0 &&
      errno != EINPROGRESS) {
    return nullptr;
  }
  auto connection = std::make_shared<Connection>(std::move(fd), host_port);
  {
    base::MutexLock lock(connection->mutex);
    connection->connecting = true;
  }
  connections_[connection.get()] = connection;
  return connection;
}

void DirectLoop::Start(const std::shared_ptr<Connection>& connection,
                       std::unique_ptr<Exchange> exchange) {
  base::MutexLock lock(connection->mutex);
  // Most answers are about as long as the last one.
  const std::int64_t expected = exchange->request.expected_bytes;
  if (connection->low_water < expected / 2 ||
      connection->low_water > expected * 9 / 10) {
    connection->WaitForBytes(static_cast<std::size_t>(expected / 4 * 3));
  }
  connection->exchange = std::move(exchange);
  if (connection->connecting) {
    connection->Watch(epoll_.get(), EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
    return;
  }
  // An error, too, is found by the thread.
  const std::string& text = connection->exchange->text;
  const ssize_t sent = ::send(connection->fd.get(), text.data(), text.size(),
                              MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent > 0) connection->exchange->sent = static_cast<std::size_t>(sent);
  if (connection->exchange->sent == text.size()) return;
  connection->Watch(epoll_.get(), EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
}

void DirectLoop::AskOther(std::unique_ptr<Exchange> exchange, bool learn) {
  FetchRequest request = std::move(exchange->request);
  const std::int64_t gone_ms = (NowNs() - exchange->started_ns) / kNsPerMs;
  request.timeout_ms = std::max<std::int64_t>(1, request.timeout_ms - gone_ms);
  if (!learn) {
    other_(std::move(request), std::move(exchange->done));
    return;
  }
  std::string url = request.url;
  // The next request has a connection of ours.
  request.keep_connection = false;
  other_(std::move(request),
         [this, url = std::move(url), done = std::move(exchange->done)](
             FetchResult result, ReceivedBody& body) {
           Learn(UrlHostPort(url), result, url);
           done(std::move(result), body);
         });
}

void DirectLoop::Learn(const std::string& host_port, const FetchResult& result,
                       const std::string& url) {
  if (!result.status.ok() || result.effective_url != url) return;
  const auto address = SocketAddress::Of(result.remote_ip, UrlPort(url));
  if (!address.has_value()) return;
  base::MutexLock lock(mutex_);
  Peer& peer = peers_[host_port];
  peer.address = *address;
  peer.has_address = true;
}

void DirectLoop::Avoid(const std::string& host_port) {
  base::MutexLock lock(mutex_);
  peers_[host_port].avoid_until_ns = NowNs() + kAvoidNs;
}

bool DirectLoop::ForgetAddress(const std::string& host_port) {
  const std::string host = UrlHost(host_port);
  if (SocketAddress::Of(host, 0).has_value()) return false;
  base::MutexLock lock(mutex_);
  peers_[host_port].has_address = false;
  return true;
}

void DirectLoop::Wake() const {
  const std::uint64_t one = 1;
  // Full means that a wake-up is pending.
  [[maybe_unused]] const auto written = write(wake_.get(), &one, sizeof(one));
}

void DirectLoop::Run() {
  epoll_event events[kMaxEvents];
  while (true) {
    const std::int64_t now_ns = NowNs();
    const std::int64_t wait_ms =
        std::max<std::int64_t>(0, SleepUntil(now_ns) - now_ns) / kNsPerMs + 1;
    const int count =
        epoll_wait(epoll_.get(), events, kMaxEvents, static_cast<int>(wait_ms));
    for (int i = 0; i < count; ++i) {
      if (events[i].data.ptr != nullptr) {
        OnEvent(*static_cast<Connection*>(events[i].data.ptr),
                events[i].events);
        continue;
      }
      std::uint64_t value = 0;
      [[maybe_unused]] const auto got =
          read(wake_.get(), &value, sizeof(value));
    }
    closed_.clear();
    const std::int64_t after_ns = NowNs();
    LookAtDue(after_ns);
    if (after_ns >= drop_old_at_ns_) DropOld(after_ns);
    closed_.clear();
    bool stopping = false;
    {
      base::ReaderMutexLock lock(mutex_);
      stopping = stopping_;
    }
    if (stopping) {
      CancelAll();
      return;
    }
  }
}

// When to wake if nothing comes. What is due is noted before anybody compares
// it with the result.
std::int64_t DirectLoop::SleepUntil(std::int64_t now_ns) {
  base::MutexLock lock(mutex_);
  const auto over = [](const Due& due) {
    return due.connection->ended != due.exchange;
  };
  while (!deadlines_.empty() && over(deadlines_.top())) deadlines_.pop();
  while (!guesses_.empty() && over(guesses_.front())) guesses_.pop_front();
  std::int64_t until_ns =
      now_ns + (now_ns - asked_ns_ < kBusyForNs ? kBusySleepNs : kIdleSleepNs);
  if (!deadlines_.empty()) {
    until_ns = std::min(until_ns, deadlines_.top().at_ns);
  }
  if (!guesses_.empty()) {
    until_ns = std::min(until_ns, guesses_.front().at_ns);
  }
  wakes_at_ns_ = until_ns;
  return until_ns;
}

void DirectLoop::LookAtDue(std::int64_t now_ns) {
  std::vector<Due> late;
  {
    base::MutexLock lock(mutex_);
    while (!deadlines_.empty() && deadlines_.top().at_ns <= now_ns) {
      late.push_back(deadlines_.top());
      deadlines_.pop();
    }
    for (; !guesses_.empty() && guesses_.front().at_ns <= now_ns;
         guesses_.pop_front()) {
      Connection& connection = *guesses_.front().connection;
      base::MutexLock connection_lock(connection.mutex);
      if (connection.ended == guesses_.front().exchange &&
          connection.exchange != nullptr &&
          connection.exchange->input_bytes == 0) {
        connection.WaitForBytes(1);
      }
    }
  }
  for (const Due& due : late) {
    std::unique_ptr<Exchange> exchange;
    {
      base::MutexLock lock(due.connection->mutex);
      if (due.connection->ended != due.exchange) continue;
      exchange = due.connection->Take();
    }
    if (exchange == nullptr) continue;
    End(*due.connection, std::move(exchange), Progress::kLate, 0);
  }
}

void DirectLoop::CancelAll() {
  std::vector<std::shared_ptr<Connection>> all;
  {
    base::MutexLock lock(mutex_);
    for (const auto& [key, connection] : connections_) {
      all.push_back(connection);
    }
  }
  for (const auto& connection : all) {
    std::unique_ptr<Exchange> exchange;
    {
      base::MutexLock lock(connection->mutex);
      exchange = connection->Take();
    }
    if (exchange == nullptr) continue;
    FetchResult result;
    result.status = absl::CancelledError("context canceled");
    ReceivedBody none;
    Report(*exchange, std::move(result), none);
  }
}

void DirectLoop::Keep(Connection& connection) {
  {
    base::MutexLock lock(mutex_);
    if (idle_ < options_.max_idle_connections) {
      ++idle_;
      connection.idle = true;
      connection.idle_since_ns = NowNs();
      peers_[connection.host_port].idle.push_back(connections_[&connection]);
      return;
    }
  }
  Close(connection);
}

void DirectLoop::CloseIfIdle(Connection& connection) {
  {
    base::MutexLock lock(mutex_);
    // Otherwise it is just being taken: whoever does that will see.
    if (!connection.idle) return;
    connection.idle = false;
    --idle_;
    std::erase_if(peers_[connection.host_port].idle,
                  [&](const auto& one) { return one.get() == &connection; });
  }
  Close(connection);
}

void DirectLoop::Close(Connection& connection) {
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, connection.fd.get(), nullptr);
  base::MutexLock lock(mutex_);
  const auto it = connections_.find(&connection);
  closed_.push_back(std::move(it->second));
  connections_.erase(it);
}

void DirectLoop::DropOld(std::int64_t now_ns) {
  drop_old_at_ns_ = now_ns + kDropOldEveryNs;
  std::vector<std::shared_ptr<Connection>> old;
  {
    base::MutexLock lock(mutex_);
    for (auto it = peers_.begin(); it != peers_.end();) {
      Peer& peer = it->second;
      for (const auto& connection : peer.idle) {
        if (now_ns - connection->idle_since_ns > kMaxIdleNs) {
          old.push_back(connection);
        }
      }
      const bool gone = peer.idle.empty() && now_ns - peer.used_ns > kAvoidNs;
      if (gone) {
        peers_.erase(it++);
      } else {
        ++it;
      }
    }
  }
  for (const auto& connection : old) CloseIfIdle(*connection);
}

}  // namespace narthex::http
