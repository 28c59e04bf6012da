#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "libs/http/client.h"
#include "libs/http/client_config.h"

/// Requests for OAuth 2.0 tokens (RFC 6749 section 4.4, RFC 7523) and their
/// answers, in the dialect of Go's golang.org/x/oauth2.
namespace narthex::http {

struct Token {
  /// The value of the Authorization field: "Bearer abc".
  std::string authorization;
  /// How long it may be used from its arrival on; 0 is for ever.
  std::int64_t lifetime_seconds = 0;
};

/// Where the client's id and secret stand. Servers accept one or both; the
/// header is tried first.
enum class ClientAuthStyle { kHeader, kParams };

/// The request for a token. `secret` is the client's secret, or the private
/// key for a signed grant. kInvalidArgument for a key that cannot sign and for
/// an endpoint parameter that would replace one of the grant's own.
absl::StatusOr<FetchRequest> TokenRequest(const OAuth2& config,
                                          const std::string& secret,
                                          ClientAuthStyle style,
                                          std::int64_t now_seconds);

/// Reads the answer: JSON, or a form when its type says so. Errors are
/// worded as Go does: `oauth2: "invalid_client" "no such client"`.
absl::StatusOr<Token> ParseToken(const FetchResult& result,
                                 const std::string& body);

}  // namespace narthex::http
