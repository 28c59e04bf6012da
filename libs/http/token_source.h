#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/http/client.h"
#include "libs/http/oauth2.h"
#include "libs/http/transfer.h"

namespace narthex::http {

/// The token of one OAuth 2.0 configuration, kept until shortly before it
/// expires, and the transfers that wait for it. Of the client's thread alone.
class TokenSource {
 public:
  explicit TokenSource(OAuth2 config) : config_(std::move(config)) {}

  const OAuth2& config() const { return config_; }

  /// Reads the secret again. One that has changed makes the token void.
  absl::Status ReadCredential();
  /// The value of the Authorization field; null when a token must be asked
  /// for first.
  const std::string* Valid(std::int64_t now_ns) const;

  /// The request to send next.
  absl::StatusOr<FetchRequest> Request(std::int64_t now_seconds) const;
  /// Takes the answer, whose body is in `body`. After an error true in
  /// `*again` says that Request() has another way to ask.
  absl::Status Take(const FetchResult& result, std::int64_t now_ns,
                    bool* again);
  const std::string& authorization() const { return token_.authorization; }

  std::string body;
  /// Whether a request is under way.
  bool asking = false;
  std::vector<std::unique_ptr<Transfer>> waiting;
  std::int64_t last_used_ns = 0;

 private:
  const OAuth2 config_;
  std::string credential_;
  ClientAuthStyle style_ = ClientAuthStyle::kHeader;
  /// Whether `style_` is known to work.
  bool style_proven_ = false;
  Token token_;
  std::int64_t expires_ns_ = 0;
  bool has_token_ = false;
};

}  // namespace narthex::http
