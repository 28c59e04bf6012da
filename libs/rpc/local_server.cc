#include "libs/rpc/local_server.h"

#include <google/protobuf/message_lite.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <list>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/mutex.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/local_socket.h"

namespace narthex::rpc {
namespace {

// Responses are sent once they are this much.
constexpr std::size_t kSendBytes = 64 << 10;
// More memory than this is given back after a call.
constexpr std::size_t kMaxKept = 1 << 20;
// A caller that takes nothing for so long is gone.
constexpr timeval kSendTimeout{60, 0};
// How often callers are told that their call is being worked on.
constexpr std::chrono::seconds kAliveEvery{4};

using Handlers = std::map<std::string, LocalServer::Handler, std::less<>>;

/// A connection and the call under way on it.
class Connection final : public LocalCall {
 public:
  Connection(base::UniqueFd fd, const Handlers& handlers,
             const std::atomic<bool>& stopping)
      : fd_(std::move(fd)),
        handlers_(handlers),
        stopping_(stopping),
        reader_(fd_.get()),
        thread_([this] { Run(); }) {}
  ~Connection() override { thread_.join(); }

  absl::string_view request() const override { return request_; }
  std::chrono::system_clock::time_point deadline() const override {
    return deadline_;
  }
  bool IsCancelled() const override {
    pollfd state{fd_.get(), POLLRDHUP, 0};
    return ::poll(&state, 1, 0) > 0;
  }
  bool Send(const google::protobuf::MessageLite& response) override {
    const std::size_t size = response.ByteSizeLong();
    if (size > kMaxMessageBytes) {
      refused_ = absl::ResourceExhaustedError(
          absl::StrCat("a response of ", size, " bytes is more than the ",
                       kMaxMessageBytes, " that can be sent"));
      return false;
    }
    LocalResponseHead head;
    head.bytes = static_cast<std::uint32_t>(size);
    AppendHead(head, &out_);
    response.AppendToString(&out_);
    return out_.size() < kSendBytes || Flush();
  }

  std::shared_ptr<void>& state() override { return state_; }

  /// Whether the thread is about to end.
  bool ended() const { return ended_; }
  /// Hangs up; without `also_busy` only if no call is under way.
  void HangUp(bool also_busy) {
    base::MutexLock lock(mutex_);
    if (also_busy || !busy_) ::shutdown(fd_.get(), SHUT_RDWR);
  }
  /// Tells the caller that its call is being worked on.
  void SayAlive() {
    base::MutexLock lock(mutex_);
    if (!busy_ || sending_) return;
    std::string frame;
    AppendHead(LocalResponseHead{LocalResponseHead::kAlive, 0}, &frame);
    // A full socket tells as much.
    (void)::send(fd_.get(), frame.data(), frame.size(),
                 MSG_NOSIGNAL | MSG_DONTWAIT);
  }

 private:
  void Run() {
    while (Serve()) {
    }
    ::shutdown(fd_.get(), SHUT_RDWR);
    ended_ = true;
  }

  bool Serve() {
    const auto forever = [] { return absl::OkStatus(); };
    const auto bytes = reader_.Take(sizeof(LocalRequestHead), forever);
    if (!bytes.ok()) return false;
    LocalRequestHead head;
    std::memcpy(&head, bytes->data(), sizeof(head));
    const std::size_t size =
        std::size_t{head.method_bytes} + head.message_bytes;
    if (size > kMaxMessageBytes) return false;
    {
      base::MutexLock lock(mutex_);
      if (stopping_) return false;
      busy_ = true;
    }
    const auto body = reader_.Take(size, forever);
    if (!body.ok()) return false;
    deadline_ = std::chrono::system_clock::now() +
                std::chrono::milliseconds(head.timeout_ms);
    request_ = body->substr(head.method_bytes);
    const auto handler = handlers_.find(body->substr(0, head.method_bytes));
    const bool open = End(handler == handlers_.end()
                              ? absl::UnimplementedError("no such method")
                              : handler->second(*this));
    request_ = {};
    reader_.Shrink();
    if (out_.capacity() > kMaxKept) std::string().swap(out_);
    base::MutexLock lock(mutex_);
    busy_ = false;
    return open && !stopping_;
  }

  bool End(absl::Status status) {
    // Whatever the handler makes of it, something is missing.
    if (!refused_.ok()) status = std::exchange(refused_, absl::OkStatus());
    LocalResponseHead head;
    head.kind = LocalResponseHead::kEnd;
    head.bytes =
        static_cast<std::uint32_t>(sizeof(int) + status.message().size());
    AppendHead(head, &out_);
    AppendHead(status.raw_code(), &out_);
    absl::StrAppend(&out_, status.message());
    return Flush();
  }

  bool Flush() {
    {
      base::MutexLock lock(mutex_);
      sending_ = true;
    }
    const bool sent = SendAll(fd_.get(), out_);
    out_.clear();
    base::MutexLock lock(mutex_);
    sending_ = false;
    return sent;
  }

  const base::UniqueFd fd_;
  const Handlers& handlers_;
  const std::atomic<bool>& stopping_;
  SocketReader reader_;
  absl::string_view request_;
  std::chrono::system_clock::time_point deadline_;
  std::string out_;
  absl::Status refused_;  // Why a response of the call was not sent.
  std::shared_ptr<void> state_;
  std::atomic<bool> ended_{false};
  base::Mutex mutex_;
  bool busy_ ABSL_GUARDED_BY(mutex_) = false;
  bool sending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // Uses all above.
};

}  // namespace

class LocalServer::Rep {
 public:
  Rep(base::UniqueFd listener, Handlers handlers)
      : listener_(std::move(listener)),
        handlers_(std::move(handlers)),
        accepting_([this] { Accept(); }),
        telling_([this] { SayAlive(); }) {}

  void Stop(std::chrono::milliseconds grace) ABSL_LOCKS_EXCLUDED(mutex_) {
    if (stopping_.exchange(true)) return;
    ::shutdown(listener_.get(), SHUT_RDWR);
    accepting_.join();
    {
      base::MutexLock lock(mutex_);
      stopped_.NotifyAll();
    }
    telling_.join();
    const auto until = std::chrono::steady_clock::now() + grace;
    for (;;) {
      const bool late = std::chrono::steady_clock::now() >= until;
      base::MutexLock lock(mutex_);
      for (Connection& one : connections_) one.HangUp(late);
      connections_.remove_if([](const Connection& one) { return one.ended(); });
      if (connections_.empty()) return;
      stopped_.WaitFor(mutex_, std::chrono::milliseconds(5));
    }
  }

 private:
  void Accept() ABSL_LOCKS_EXCLUDED(mutex_) {
    while (!stopping_) {
      base::UniqueFd fd(
          ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      base::MutexLock lock(mutex_);
      connections_.remove_if([](const Connection& one) { return one.ended(); });
      if (!fd) {
        // Out of descriptors: callers go by gRPC meanwhile.
        if (!stopping_) stopped_.WaitFor(mutex_, std::chrono::milliseconds(50));
        continue;
      }
      if (!IsSameUser(fd.get())) continue;
      ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &kSendTimeout,
                   sizeof(kSendTimeout));
      connections_.emplace_back(std::move(fd), handlers_, stopping_);
    }
  }

  void SayAlive() ABSL_LOCKS_EXCLUDED(mutex_) {
    base::MutexLock lock(mutex_);
    while (!stopping_) {
      stopped_.WaitFor(mutex_, kAliveEvery);
      for (Connection& one : connections_) one.SayAlive();
    }
  }

  const base::UniqueFd listener_;
  const Handlers handlers_;
  std::atomic<bool> stopping_{false};
  base::Mutex mutex_;
  base::CondVar stopped_;
  std::list<Connection> connections_ ABSL_GUARDED_BY(mutex_);
  std::thread accepting_;
  std::thread telling_;
};

absl::StatusOr<std::unique_ptr<LocalServer>> LocalServer::Start(
    absl::string_view grpc_address, int port, Handlers handlers) {
  absl::string_view host = grpc_address.substr(0, grpc_address.rfind(':'));
  if (host.empty() || host == "0.0.0.0" || host == "[::]") host = "*";
  if (host == "localhost") host = "127.0.0.1";
  base::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return base::ErrnoStatus(errno, "open", "a Unix socket");
  const LocalName name(host, absl::StrCat(port));
  if (::bind(fd.get(), name.address(), name.size()) != 0 ||
      ::listen(fd.get(), SOMAXCONN) != 0) {
    return absl::UnavailableError(absl::StrCat("listen on the Unix socket of ",
                                               host, ":", port, ": ",
                                               std::strerror(errno)));
  }
  return std::unique_ptr<LocalServer>(new LocalServer(
      std::make_unique<Rep>(std::move(fd), std::move(handlers))));
}

LocalServer::LocalServer(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
LocalServer::~LocalServer() { Stop(std::chrono::milliseconds(0)); }
void LocalServer::Stop(std::chrono::milliseconds grace) { rep_->Stop(grace); }

}  // namespace narthex::rpc
