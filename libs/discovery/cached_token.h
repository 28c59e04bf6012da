#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "libs/base/status.h"
#include "libs/discovery/fetcher.h"
#include "libs/http/oauth2.h"

namespace narthex::discovery {

/// A bearer token kept until a minute before it expires. Used by one thread.
class CachedToken {
 public:
  /// The value of the Authorization field; `request()` gives the request that
  /// asks for a new one.
  template <typename MakeRequest>
  absl::StatusOr<std::string> Get(Fetcher& fetcher, std::int64_t now_seconds,
                                  const MakeRequest& request) {
    constexpr std::int64_t kMarginSeconds = 60;
    if (!authorization_.empty() && now_seconds < expires_ - kMarginSeconds) {
      return authorization_;
    }
    NARTHEX_ASSIGN_OR_RETURN(http::FetchRequest asked, request());
    NARTHEX_ASSIGN_OR_RETURN(const Fetcher::Answer answer,
                             fetcher.Fetch(std::move(asked)));
    http::FetchResult result;
    result.code = answer.code;
    result.headers = answer.headers;
    NARTHEX_ASSIGN_OR_RETURN(const http::Token token,
                             http::ParseToken(result, answer.body));
    authorization_ = token.authorization;
    expires_ = now_seconds + token.lifetime_seconds;
    return authorization_;
  }
  void Forget() { authorization_.clear(); }

 private:
  std::string authorization_;
  std::int64_t expires_ = 0;
};

}  // namespace narthex::discovery
