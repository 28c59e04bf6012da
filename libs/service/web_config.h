#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/hash.h"
#include "libs/base/mutex.h"
#include "libs/http/message.h"
#include "libs/http/server.h"

namespace narthex::service {

/// What --web.config.file says, in the format of Prometheus's exporter
/// toolkit.
struct WebConfig {
  /// Null: plain HTTP.
  std::shared_ptr<const http::ServerTls> tls;
  /// Added to every answer.
  std::vector<std::pair<std::string, std::string>> headers;
  /// Names with bcrypt hashes; empty: everybody may.
  std::map<std::string, std::string> users;
};

/// Reads the file; paths in it are relative to it. kInvalidArgument with file,
/// line and field.
absl::StatusOr<WebConfig> LoadWebConfig(const std::string& path);
/// As LoadWebConfig(), from text; `path` is for messages and relative paths.
absl::StatusOr<WebConfig> ParseWebConfig(const std::string& path,
                                         absl::string_view text);

/// Lets requests through that name a user and the password, by basic
/// authentication. Remembers what it compared, since bcrypt is slow by
/// design. Thread-safe.
class BasicAuthGate {
 public:
  explicit BasicAuthGate(std::map<std::string, std::string> users);

  /// False after answering 401.
  bool Admit(const http::Request& request, http::Response& response);
  void SetUsers(std::map<std::string, std::string> users);

 private:
  bool Matches(absl::string_view user, absl::string_view password);

  base::Mutex mutex_;
  std::map<std::string, std::string> users_ ABSL_GUARDED_BY(mutex_);
  // Outcome by hash of user, password and the stored hash.
  absl::flat_hash_map<std::uint64_t, bool> compared_ ABSL_GUARDED_BY(mutex_);
  const std::string salt_;
};

}  // namespace narthex::service
