#include "libs/rpc/local_pipe.h"

#include <google/protobuf/message_lite.h>
#include <sys/socket.h>

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/rpc/channel.h"

namespace narthex::rpc {
namespace {

constexpr std::uint32_t kTimeoutMs = 86'400'000;

}  // namespace

LocalPipe::LocalPipe(base::UniqueFd fd, std::string method)
    : fd_(std::move(fd)), method_(std::move(method)), reader_(fd_.get()) {
  // Whoever does not want to wait any longer hangs up.
  const timeval forever{0, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &forever, sizeof(forever));
}

bool LocalPipe::Write(const google::protobuf::MessageLite& request) {
  LocalRequestHead head;
  head.timeout_ms = kTimeoutMs;
  head.method_bytes = static_cast<std::uint32_t>(method_.size());
  head.message_bytes = static_cast<std::uint32_t>(request.ByteSizeLong());
  frame_.clear();
  frame_.reserve(sizeof(head) + method_.size() + head.message_bytes);
  AppendHead(head, &frame_);
  absl::StrAppend(&frame_, method_);
  request.AppendToString(&frame_);
  return SendAll(fd_.get(), frame_);
}

bool LocalPipe::Read(google::protobuf::MessageLite* response) {
  const auto forever = [] { return absl::OkStatus(); };
  bool got = false;
  for (;;) {
    reader_.Shrink();
    auto bytes = reader_.Take(sizeof(LocalResponseHead), forever);
    if (!bytes.ok()) return End(bytes.status());
    LocalResponseHead head;
    std::memcpy(&head, bytes->data(), sizeof(head));
    if (head.bytes > static_cast<std::uint32_t>(kMaxMessageBytes)) {
      return End(absl::DataLossError("received a malformed response"));
    }
    bytes = reader_.Take(head.bytes, forever);
    if (!bytes.ok()) return End(bytes.status());
    if (head.kind == LocalResponseHead::kMessage) {
      got = response->ParseFromArray(bytes->data(),
                                     static_cast<int>(bytes->size()));
      if (!got)
        return End(absl::DataLossError("received a malformed response"));
    } else if (head.kind == LocalResponseHead::kEnd) {
      int code = 0;
      if (bytes->size() < sizeof(code)) {
        return End(absl::DataLossError("received a malformed response"));
      }
      std::memcpy(&code, bytes->data(), sizeof(code));
      if (code == 0 && got) return true;
      return End(code == 0 ? absl::DataLossError("received no response")
                           : absl::Status(static_cast<absl::StatusCode>(code),
                                          bytes->substr(sizeof(code))));
    }
  }
}

void LocalPipe::HangUp() { ::shutdown(fd_.get(), SHUT_RDWR); }

bool LocalPipe::End(absl::Status status) {
  status_ = std::move(status);
  HangUp();
  return false;
}

}  // namespace narthex::rpc
