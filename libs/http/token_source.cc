#include "libs/http/token_source.h"

#include "libs/base/status.h"
#include "libs/http/tls_material.h"

namespace narthex::http {
namespace {

// A token about to expire might do so on its way.
constexpr std::int64_t kMarginSeconds = 10;
constexpr std::int64_t kNsPerSecond = 1'000'000'000;

}  // namespace

absl::Status TokenSource::ReadCredential() {
  const bool is_jwt = config_.grant_type == kJwtBearerGrant;
  auto credential =
      is_jwt ? ReadSecret(config_.client_certificate_key,
                          config_.client_certificate_key_file)
             : ReadSecret(config_.client_secret, config_.client_secret_file);
  if (!credential.ok()) {
    return base::Annotate(credential.status(),
                          "unable to read oauth2 client secret");
  }
  if (*credential != credential_) has_token_ = false;
  credential_ = *std::move(credential);
  return absl::OkStatus();
}

const std::string* TokenSource::Valid(std::int64_t now_ns) const {
  if (!has_token_) return nullptr;
  if (token_.lifetime_seconds > 0 && now_ns >= expires_ns_) return nullptr;
  return &token_.authorization;
}

absl::StatusOr<FetchRequest> TokenSource::Request(
    std::int64_t now_seconds) const {
  return TokenRequest(config_, credential_, style_, now_seconds);
}

absl::Status TokenSource::Take(const FetchResult& result, std::int64_t now_ns,
                               bool* again) {
  *again = false;
  NARTHEX_RETURN_IF_ERROR(result.status);
  auto token = ParseToken(result, body);
  if (!token.ok()) {
    if (!style_proven_ && config_.grant_type != kJwtBearerGrant) {
      // Back to the first after both were refused.
      *again = style_ == ClientAuthStyle::kHeader;
      style_ = *again ? ClientAuthStyle::kParams : ClientAuthStyle::kHeader;
    }
    return token.status();
  }
  style_proven_ = true;
  token_ = *std::move(token);
  has_token_ = true;
  expires_ns_ =
      now_ns + (token_.lifetime_seconds - kMarginSeconds) * kNsPerSecond;
  return absl::OkStatus();
}

}  // namespace narthex::http
