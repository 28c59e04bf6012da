#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/file.h"

namespace narthex::discovery {

/// What happened to a node that was watched. A watch tells once.
struct ZookeeperEvent {
  enum class Type { kCreated = 1, kDeleted = 2, kData = 3, kChildren = 4 };
  Type type = Type::kData;
  std::string path;
};

/// A session with one ZooKeeper server, in its own protocol: frames of a
/// length and Jute records (big-endian numbers, strings after their length).
/// Only what reading a tree needs. Not thread-safe. After an error the
/// session is of no more use.
class ZookeeperSession {
 public:
  /// `server` is "host" or "host:port" (2181). `stop_fd` becoming readable
  /// ends whatever waits, with kCancelled.
  static absl::StatusOr<std::unique_ptr<ZookeeperSession>> Open(
      const std::string& server, std::int64_t timeout_ms, int stop_fd);
  /// Says goodbye, so that the server need not wait for the session to expire.
  ~ZookeeperSession();

  /// The data of a node, and watches it; nothing when there is no such node.
  absl::StatusOr<std::optional<std::string>> GetData(const std::string& path);
  /// The names of a node's children, and watches them; nothing when there is
  /// no such node.
  absl::StatusOr<std::optional<std::vector<std::string>>> GetChildren(
      const std::string& path);
  /// What happened since; waits up to `max_ms` until something does. Keeps
  /// the session alive meanwhile.
  absl::StatusOr<std::vector<ZookeeperEvent>> Wait(std::int64_t max_ms);

 private:
  ZookeeperSession(base::UniqueFd socket, std::int64_t timeout_ms, int stop_fd);

  absl::Status Greet();
  /// Sends a request for `path` and waits for its answer; nothing when there
  /// is no such node.
  absl::StatusOr<std::optional<std::string>> Ask(std::int32_t operation,
                                                 const std::string& path);
  absl::Status Send(absl::string_view payload);
  absl::Status Ping();
  /// The next frame; kDeadlineExceeded when none comes until `deadline_ns`.
  absl::StatusOr<std::string> ReadFrame(std::int64_t deadline_ns);
  absl::Status ReadBytes(std::size_t count, std::int64_t deadline_ns,
                         std::string* out);
  /// Puts a frame that is a notification into events_.
  absl::Status TakeEvent(absl::string_view frame);
  std::int64_t AnswerDeadline() const;

  const base::UniqueFd socket_;
  const int stop_fd_;
  std::int64_t timeout_ms_;
  std::int32_t next_xid_ = 1;
  std::int64_t last_sent_ns_ = 0;
  std::int64_t last_received_ns_ = 0;
  bool usable_ = false;
  /// Received of a frame that is not whole yet.
  std::string partial_;
  std::deque<ZookeeperEvent> events_;
};

}  // namespace narthex::discovery
