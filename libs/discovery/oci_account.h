#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/discovery/fetcher.h"
#include "libs/discovery/oci.h"

namespace narthex::discovery {

/// Where a service ("iaas", "identity", "auth") of a region is.
std::string OciServiceUrl(const OciConfig& config, absl::string_view service);

/// Signs requests to Oracle's cloud (draft-cavage-http-signatures with
/// rsa-sha256), with the user's key or with a session key that the auth
/// service has certified for the instance we run on. Used by one thread.
class OciAccount {
 public:
  explicit OciAccount(const OciConfig& config);

  /// Adds Date and Authorization to a GET.
  absl::Status Sign(Fetcher& fetcher, http::FetchRequest* request);
  /// The tenancy of the configuration, or of the instance's certificate.
  absl::StatusOr<std::string> Tenancy(Fetcher& fetcher);
  /// Forgets a session, which a service has refused.
  void Forget() { session_expires_ = 0; }

 private:
  /// What signs: the name of a key and the key.
  struct Key {
    std::string id;
    std::string pem;
    std::string passphrase;
  };

  absl::StatusOr<Key> FindKey(Fetcher& fetcher);
  absl::StatusOr<Key> FileKey() const;
  absl::Status BeginSession(Fetcher& fetcher, std::int64_t now_seconds);
  absl::StatusOr<std::string> GetMetadata(Fetcher& fetcher,
                                          const std::string& path) const;

  const OciConfig config_;
  std::string tenancy_;
  Key session_;
  std::int64_t session_expires_ = 0;
};

}  // namespace narthex::discovery
