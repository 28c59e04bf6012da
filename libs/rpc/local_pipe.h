#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/base/file.h"
#include "libs/rpc/local_socket.h"

namespace google::protobuf {
class MessageLite;
}  // namespace google::protobuf

namespace narthex::rpc {

/// Calls to a LocalServer that need not wait for one another: all are of one
/// method with one response each, on a connection of their own. What the
/// handler keeps in LocalCall::state() lives as long as the pipe. One thread
/// may write while another reads.
class LocalPipe {
 public:
  LocalPipe(base::UniqueFd fd, std::string method);

  /// Starts a call. False when the pipe has ended.
  bool Write(const google::protobuf::MessageLite& request);
  /// Waits for the response to the oldest call without one. False when the
  /// pipe has ended, as it does with the first call that fails; then status()
  /// says why.
  bool Read(google::protobuf::MessageLite* response);
  /// Of the thread that reads.
  const absl::Status& status() const { return status_; }
  /// Ends the pipe. Any thread.
  void HangUp();

 private:
  bool End(absl::Status status);

  const base::UniqueFd fd_;
  const std::string method_;
  std::string frame_;  // Of the thread that writes.
  SocketReader reader_;
  absl::Status status_;
};

}  // namespace narthex::rpc
