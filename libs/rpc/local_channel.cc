#include "libs/rpc/local_channel.h"

#include <google/protobuf/message_lite.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/mutex.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/local_socket.h"

namespace narthex::rpc {
namespace {

using SystemTime = std::chrono::system_clock::time_point;

constexpr std::size_t kMaxIdle = 64;
// How often a waiting call looks whether it is cancelled.
constexpr timeval kLookEvery{0, 10'000};
// A server that is silent for so long is frozen.
constexpr std::chrono::seconds kMaxSilence{15};

/// A connection with what has been read of it.
struct Connection {
  explicit Connection(base::UniqueFd socket)
      : fd(std::move(socket)), reader(fd.get()) {}
  base::UniqueFd fd;
  SocketReader reader;
};

/// Whether the server has hung up, or said what nobody asked for.
bool IsBroken(const Connection& connection) {
  char byte = 0;
  return !connection.reader.empty() ||
         ::recv(connection.fd.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

}  // namespace

class LocalChannel::Rep : public std::enable_shared_from_this<Rep> {
 public:
  Rep(absl::string_view host, absl::string_view port)
      : exact_(host, port), any_("*", port) {}

  /// Null when there is nobody.
  std::unique_ptr<Connection> Get() ABSL_LOCKS_EXCLUDED(mutex_) {
    for (;;) {
      std::unique_ptr<Connection> idle;
      {
        base::MutexLock lock(mutex_);
        if (idle_.empty()) break;
        idle = std::move(idle_.back());
        idle_.pop_back();
      }
      if (!IsBroken(*idle)) return idle;
    }
    base::UniqueFd fd = Connect();
    if (!fd) return nullptr;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kLookEvery,
                 sizeof(kLookEvery));
    return std::make_unique<Connection>(std::move(fd));
  }

  /// A new connection; none when there is nobody.
  base::UniqueFd Connect() const {
    for (const LocalName* name : {&exact_, &any_}) {
      base::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      if (!fd) break;
      // No connection can be waited for: a full backlog is a no, too.
      ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &kLookEvery,
                   sizeof(kLookEvery));
      if (::connect(fd.get(), name->address(), name->size()) != 0) continue;
      return IsSameUser(fd.get()) ? std::move(fd) : base::UniqueFd();
    }
    return base::UniqueFd();
  }

  void Return(std::unique_ptr<Connection> connection)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    connection->reader.Shrink();
    base::MutexLock lock(mutex_);
    if (idle_.size() < kMaxIdle) idle_.push_back(std::move(connection));
  }

 private:
  const LocalName exact_;
  const LocalName any_;
  base::Mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_ ABSL_GUARDED_BY(mutex_);
};

namespace {

template <typename Pool>
class Stream final : public LocalStream {
 public:
  Stream(std::shared_ptr<Pool> pool, std::unique_ptr<Connection> connection,
         SystemTime deadline, const std::atomic<bool>* cancelled)
      : pool_(std::move(pool)),
        connection_(std::move(connection)),
        deadline_(deadline),
        cancelled_(cancelled) {}

  bool Read(google::protobuf::MessageLite* response) override {
    while (connection_ != nullptr) {
      LocalResponseHead head;
      absl::string_view body;
      if (const absl::Status status = ReadFrame(&head, &body); !status.ok()) {
        return Break(status);
      }
      switch (head.kind) {
        case LocalResponseHead::kMessage:
          if (response->ParseFromArray(body.data(),
                                       static_cast<int>(body.size()))) {
            return true;
          }
          return Break(absl::DataLossError("received a malformed response"));
        case LocalResponseHead::kEnd:
          return End(body);
        default:
          break;
      }
    }
    return false;
  }

  const absl::Status& status() const override { return status_; }

 private:
  absl::Status ReadFrame(LocalResponseHead* head, absl::string_view* body) {
    const SystemTime silent_since = std::chrono::system_clock::now();
    const auto waiting = [&]() -> absl::Status {
      if (cancelled_ != nullptr && cancelled_->load()) {
        return absl::CancelledError("canceled");
      }
      const SystemTime now = std::chrono::system_clock::now();
      if (now >= deadline_) {
        return absl::DeadlineExceededError("Deadline Exceeded");
      }
      if (now - silent_since > kMaxSilence) {
        return absl::UnavailableError("it does not answer");
      }
      return absl::OkStatus();
    };
    SocketReader& reader = connection_->reader;
    auto bytes = reader.Take(sizeof(*head), waiting);
    if (!bytes.ok()) return bytes.status();
    std::memcpy(head, bytes->data(), sizeof(*head));
    if (head->bytes > static_cast<std::uint32_t>(kMaxMessageBytes)) {
      return absl::DataLossError("received a malformed response");
    }
    bytes = reader.Take(head->bytes, waiting);
    if (!bytes.ok()) return bytes.status();
    *body = *bytes;
    return absl::OkStatus();
  }

  bool Break(absl::Status status) {
    status_ = std::move(status);
    connection_.reset();
    return false;
  }

  bool End(absl::string_view body) {
    int code = 0;
    if (body.size() < sizeof(code)) {
      return Break(absl::DataLossError("received a malformed response"));
    }
    std::memcpy(&code, body.data(), sizeof(code));
    status_ = absl::Status(static_cast<absl::StatusCode>(code),
                           body.substr(sizeof(code)));
    pool_->Return(std::move(connection_));
    return false;
  }

  const std::shared_ptr<Pool> pool_;
  std::unique_ptr<Connection> connection_;  // Null when the call has ended.
  const SystemTime deadline_;
  const std::atomic<bool>* const cancelled_;
  absl::Status status_;
};

}  // namespace

LocalChannel::LocalChannel(absl::string_view address) {
  const std::size_t colon = address.rfind(':');
  if (colon == absl::string_view::npos) return;
  absl::string_view host = address.substr(0, colon);
  if (host == "localhost") host = "127.0.0.1";
  if (!absl::StartsWith(host, "127.") && host != "[::1]") return;
  rep_ = std::make_shared<Rep>(host, address.substr(colon + 1));
}

LocalChannel::~LocalChannel() = default;

std::unique_ptr<LocalPipe> LocalChannel::OpenPipe(absl::string_view method) {
  if (rep_ == nullptr) return nullptr;
  base::UniqueFd fd = rep_->Connect();
  if (!fd) return nullptr;
  return std::make_unique<LocalPipe>(std::move(fd), std::string(method));
}

std::unique_ptr<LocalStream> LocalChannel::Call(
    absl::string_view method, const google::protobuf::MessageLite& request,
    SystemTime deadline, const std::atomic<bool>* cancelled) {
  if (rep_ == nullptr) return nullptr;
  std::unique_ptr<Connection> connection = rep_->Get();
  if (connection == nullptr) return nullptr;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::system_clock::now());
  LocalRequestHead head;
  head.timeout_ms = static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(left.count(), 0, 86'400'000));
  head.method_bytes = static_cast<std::uint32_t>(method.size());
  head.message_bytes = static_cast<std::uint32_t>(request.ByteSizeLong());
  std::string frame;
  frame.reserve(sizeof(head) + method.size() + head.message_bytes);
  AppendHead(head, &frame);
  absl::StrAppend(&frame, method);
  request.AppendToString(&frame);
  if (!SendAll(connection->fd.get(), frame)) return nullptr;
  return std::make_unique<Stream<Rep>>(rep_, std::move(connection), deadline,
                                       cancelled);
}

}  // namespace narthex::rpc
