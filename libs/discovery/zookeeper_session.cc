#include "libs/discovery/zookeeper_session.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/status.h"
#include "libs/discovery/jute.h"

namespace narthex::discovery {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr char kDefaultPort[] = "2181";
constexpr std::size_t kMaxFrameBytes = 64 << 20;

constexpr std::int32_t kEventXid = -1;
constexpr std::int32_t kPingXid = -2;
constexpr std::int32_t kGetData = 4;
constexpr std::int32_t kPing = 11;
constexpr std::int32_t kGetChildren = 12;
constexpr std::int32_t kCloseSession = -11;
constexpr std::int32_t kNoNode = -101;

std::int64_t NowNs() { return base::Clock::System().MonotonicNs(); }

absl::Status SystemError(absl::string_view what, int error) {
  return absl::UnavailableError(
      absl::StrCat(what, ": ", std::generic_category().message(error)));
}

/// Waits until the socket is ready for `events`; kDeadlineExceeded when it is
/// not at `deadline_ns`, kCancelled when `stop_fd` is readable.
absl::Status WaitFor(int socket, int stop_fd, short events,
                     std::int64_t deadline_ns) {
  for (;;) {
    const std::int64_t left_ms =
        std::max<std::int64_t>((deadline_ns - NowNs()) / kNsPerMs, 0);
    std::array<pollfd, 2> fds{{{stop_fd, POLLIN, 0}, {socket, events, 0}}};
    const int ready =
        poll(fds.data(), fds.size(),
             static_cast<int>(std::min<std::int64_t>(left_ms + 1, 60'000)));
    if (ready < 0 && errno != EINTR) return SystemError("poll", errno);
    if (fds[0].revents != 0) return absl::CancelledError("context canceled");
    if (fds[1].revents != 0) return absl::OkStatus();
    if (NowNs() >= deadline_ns) {
      return absl::DeadlineExceededError("no answer in time");
    }
  }
}

absl::StatusOr<base::UniqueFd> ConnectTo(const addrinfo& address,
                                         std::int64_t deadline_ns,
                                         int stop_fd) {
  base::UniqueFd fd(
      socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return SystemError("socket", errno);
  if (connect(fd.get(), address.ai_addr, address.ai_addrlen) == 0) return fd;
  if (errno != EINPROGRESS) return SystemError("connect", errno);
  NARTHEX_RETURN_IF_ERROR(WaitFor(fd.get(), stop_fd, POLLOUT, deadline_ns));
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return SystemError("connect", error);
  return fd;
}

absl::StatusOr<base::UniqueFd> Dial(const std::string& server,
                                    std::int64_t timeout_ms, int stop_fd) {
  std::string host = server;
  std::string port = kDefaultPort;
  const std::size_t colon = server.rfind(':');
  if (colon != std::string::npos &&
      server.find(']', colon) == std::string::npos) {
    host = server.substr(0, colon);
    port = server.substr(colon + 1);
  }
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (code != 0) {
    return absl::UnavailableError(
        absl::StrCat("lookup ", host, ": ", gai_strerror(code)));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found,
                                                             freeaddrinfo);
  absl::StatusOr<base::UniqueFd> fd =
      absl::UnavailableError(absl::StrCat("lookup ", host, ": no addresses"));
  const std::int64_t deadline = NowNs() + timeout_ms * kNsPerMs;
  for (const addrinfo* address = found; address != nullptr && !fd.ok();
       address = address->ai_next) {
    fd = ConnectTo(*address, deadline, stop_fd);
  }
  return fd;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ZookeeperSession>> ZookeeperSession::Open(
    const std::string& server, std::int64_t timeout_ms, int stop_fd) {
  auto socket = Dial(server, timeout_ms, stop_fd);
  NARTHEX_RETURN_IF_ERROR(base::Annotate(socket.status(), server));
  std::unique_ptr<ZookeeperSession> session(
      new ZookeeperSession(*std::move(socket), timeout_ms, stop_fd));
  NARTHEX_RETURN_IF_ERROR(base::Annotate(session->Greet(), server));
  return session;
}

ZookeeperSession::ZookeeperSession(base::UniqueFd socket,
                                   std::int64_t timeout_ms, int stop_fd)
    : socket_(std::move(socket)), stop_fd_(stop_fd), timeout_ms_(timeout_ms) {}

ZookeeperSession::~ZookeeperSession() {
  if (!usable_) return;
  const std::string goodbye =
      JuteWriter().Int(8).Int(next_xid_).Int(kCloseSession).data();
  // Nobody waits for it: at worst the session expires.
  [[maybe_unused]] const auto sent =
      send(socket_.get(), goodbye.data(), goodbye.size(),
           MSG_NOSIGNAL | MSG_DONTWAIT);
}

absl::Status ZookeeperSession::Greet() {
  constexpr std::int32_t kProtocolVersion = 0;
  constexpr std::int64_t kNewSession = 0;
  JuteWriter hello;
  hello.Int(kProtocolVersion)
      .Long(0)  // The newest change that was seen.
      .Int(static_cast<std::int32_t>(timeout_ms_))
      .Long(kNewSession)
      .Text(std::string(16, '\0'));  // The session's password.
  NARTHEX_RETURN_IF_ERROR(Send(hello.data()));
  NARTHEX_ASSIGN_OR_RETURN(const std::string frame,
                           ReadFrame(AnswerDeadline()));
  JuteReader reader(frame);
  reader.Int();
  const std::int32_t agreed_ms = reader.Int();
  reader.Long();
  reader.Text();
  if (!reader.ok() || agreed_ms <= 0) {
    return absl::UnavailableError("the server refused the session");
  }
  timeout_ms_ = agreed_ms;
  usable_ = true;
  return absl::OkStatus();
}

std::int64_t ZookeeperSession::AnswerDeadline() const {
  return NowNs() + timeout_ms_ * kNsPerMs * 2 / 3;
}

absl::StatusOr<std::optional<std::string>> ZookeeperSession::GetData(
    const std::string& path) {
  NARTHEX_ASSIGN_OR_RETURN(const std::optional<std::string> answer,
                           Ask(kGetData, path));
  if (!answer.has_value()) return std::optional<std::string>();
  JuteReader reader(*answer);
  std::optional<std::string> data = reader.Text();
  if (!reader.ok()) return absl::DataLossError("malformed answer: data");
  return data;
}

absl::StatusOr<std::optional<std::vector<std::string>>>
ZookeeperSession::GetChildren(const std::string& path) {
  NARTHEX_ASSIGN_OR_RETURN(const std::optional<std::string> answer,
                           Ask(kGetChildren, path));
  if (!answer.has_value()) return std::optional<std::vector<std::string>>();
  JuteReader reader(*answer);
  std::optional<std::vector<std::string>> children = reader.Texts();
  if (!reader.ok()) return absl::DataLossError("malformed answer: children");
  return children;
}

absl::StatusOr<std::optional<std::string>> ZookeeperSession::Ask(
    std::int32_t operation, const std::string& path) {
  const std::int32_t xid = next_xid_++;
  constexpr bool kWatch = true;
  NARTHEX_RETURN_IF_ERROR(Send(
      JuteWriter().Int(xid).Int(operation).Text(path).Bool(kWatch).data()));
  const std::int64_t deadline = AnswerDeadline();
  for (;;) {
    NARTHEX_ASSIGN_OR_RETURN(const std::string frame, ReadFrame(deadline));
    JuteReader reader(frame);
    const std::int32_t answered = reader.Int();
    reader.Long();
    const std::int32_t error = reader.Int();
    if (answered == kEventXid) {
      NARTHEX_RETURN_IF_ERROR(TakeEvent(reader.rest()));
      continue;
    }
    if (answered == kPingXid) continue;
    if (!reader.ok() || answered != xid) {
      usable_ = false;
      return absl::DataLossError("malformed answer");
    }
    if (error == kNoNode) return std::optional<std::string>();
    if (error != 0) {
      usable_ = false;
      return absl::UnavailableError(
          absl::StrCat(path, ": the server answered with error ", error));
    }
    return std::optional<std::string>(std::string(reader.rest()));
  }
}

absl::StatusOr<std::vector<ZookeeperEvent>> ZookeeperSession::Wait(
    std::int64_t max_ms) {
  const std::int64_t end = NowNs() + max_ms * kNsPerMs;
  const std::int64_t silence = timeout_ms_ * kNsPerMs * 2 / 3;
  while (events_.empty() && NowNs() < end) {
    const std::int64_t next_ping = last_sent_ns_ + silence / 2;
    if (NowNs() >= next_ping) NARTHEX_RETURN_IF_ERROR(Ping());
    const std::int64_t dead = last_received_ns_ + silence;
    auto frame = ReadFrame(std::min({end, last_sent_ns_ + silence / 2, dead}));
    if (absl::IsDeadlineExceeded(frame.status())) {
      if (NowNs() < dead) continue;
      usable_ = false;
    }
    NARTHEX_RETURN_IF_ERROR(frame);
    JuteReader reader(*frame);
    const std::int32_t xid = reader.Int();
    reader.Long();
    reader.Int();
    if (xid == kEventXid) NARTHEX_RETURN_IF_ERROR(TakeEvent(reader.rest()));
  }
  std::vector<ZookeeperEvent> events(events_.begin(), events_.end());
  events_.clear();
  return events;
}

absl::Status ZookeeperSession::TakeEvent(absl::string_view frame) {
  JuteReader reader(frame);
  const std::int32_t type = reader.Int();
  reader.Int();  // The state of the session.
  ZookeeperEvent event;
  event.path = reader.Text();
  if (!reader.ok()) return absl::DataLossError("malformed notification");
  // Others tell of the session, which an error of the connection ends anyway.
  if (type >= 1 && type <= 4) {
    event.type = static_cast<ZookeeperEvent::Type>(type);
    events_.push_back(std::move(event));
  }
  return absl::OkStatus();
}

absl::Status ZookeeperSession::Ping() {
  return Send(JuteWriter().Int(kPingXid).Int(kPing).data());
}

absl::Status ZookeeperSession::Send(absl::string_view payload) {
  const std::string frame = JuteWriter().Text(payload).data();
  absl::string_view rest = frame;
  const std::int64_t deadline = AnswerDeadline();
  while (!rest.empty()) {
    const ssize_t sent =
        send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      rest.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == EINTR) {
      NARTHEX_RETURN_IF_ERROR(
          WaitFor(socket_.get(), stop_fd_, POLLOUT, deadline));
    } else {
      usable_ = false;
      return SystemError("send", errno);
    }
  }
  last_sent_ns_ = NowNs();
  if (last_received_ns_ == 0) last_received_ns_ = last_sent_ns_;
  return absl::OkStatus();
}

absl::StatusOr<std::string> ZookeeperSession::ReadFrame(
    std::int64_t deadline_ns) {
  constexpr std::size_t kLengthBytes = 4;
  NARTHEX_RETURN_IF_ERROR(ReadBytes(kLengthBytes, deadline_ns, &partial_));
  const std::int32_t size = JuteReader(partial_).Int();
  if (size < 0 || static_cast<std::size_t>(size) > kMaxFrameBytes) {
    usable_ = false;
    return absl::DataLossError(absl::StrCat("frame of ", size, " bytes"));
  }
  NARTHEX_RETURN_IF_ERROR(ReadBytes(
      kLengthBytes + static_cast<std::size_t>(size), deadline_ns, &partial_));
  last_received_ns_ = NowNs();
  std::string frame = partial_.substr(kLengthBytes);
  partial_.clear();
  return frame;
}

absl::Status ZookeeperSession::ReadBytes(std::size_t count,
                                         std::int64_t deadline_ns,
                                         std::string* out) {
  std::array<char, 16384> buffer;
  while (out->size() < count) {
    const ssize_t got = recv(socket_.get(), buffer.data(),
                             std::min(buffer.size(), count - out->size()), 0);
    if (got > 0) {
      out->append(buffer.data(), static_cast<std::size_t>(got));
    } else if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
      NARTHEX_RETURN_IF_ERROR(
          WaitFor(socket_.get(), stop_fd_, POLLIN, deadline_ns));
    } else {
      usable_ = false;
      return got == 0
                 ? absl::UnavailableError("the server closed the connection")
                 : SystemError("recv", errno);
    }
  }
  return absl::OkStatus();
}

}  // namespace narthex::discovery
