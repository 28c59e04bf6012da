#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "libs/discovery/aws_signature.h"
#include "libs/discovery/fetcher.h"

namespace narthex::discovery {

/// Where region and credentials for AWS are found, as AWS's own tools do it:
/// what the configuration says, then environment variables, then the profile
/// in ~/.aws, then a web identity, a container's credentials and the instance
/// metadata service. Temporary ones are renewed before they expire. Used by
/// one thread.
class AwsAccount {
 public:
  struct Options {
    std::string region;
    std::string access_key;
    std::string secret_key;
    std::string profile;
    std::string role_arn;
    std::string external_id;
    /// Where AWS's services are, for tests; empty for the real ones.
    std::string sts_endpoint;
    std::string metadata_endpoint;
  };

  explicit AwsAccount(Options options) : options_(std::move(options)) {}

  /// kUnavailable "could not determine AWS region: ...".
  absl::StatusOr<std::string> Region(Fetcher& fetcher);
  absl::StatusOr<AwsCredentials> Credentials(Fetcher& fetcher,
                                             std::int64_t now_seconds);
  /// Forgets credentials, which a service has refused.
  void Forget() { expires_seconds_ = 0; }

 private:
  /// Credentials with the time until when they are good; 0 is for ever.
  struct Lease {
    AwsCredentials credentials;
    std::int64_t expires_seconds = 0;
  };

  absl::StatusOr<Lease> Find(Fetcher& fetcher, std::int64_t now_seconds);
  absl::StatusOr<Lease> FromMetadata(Fetcher& fetcher);
  absl::StatusOr<Lease> FromContainer(Fetcher& fetcher, const std::string& url);
  absl::StatusOr<Lease> AssumeRole(Fetcher& fetcher,
                                   const AwsCredentials& source,
                                   std::int64_t now_seconds);
  absl::StatusOr<Lease> FromWebIdentity(Fetcher& fetcher,
                                        const std::string& token_file,
                                        const std::string& role_arn);
  absl::StatusOr<Lease> AskSts(Fetcher& fetcher, http::FetchRequest request,
                               const std::string& what);
  absl::StatusOr<std::string> GetMetadata(Fetcher& fetcher,
                                          const std::string& path);
  std::string StsUrl() const;
  std::string Profile() const;

  const Options options_;
  std::string region_;
  AwsCredentials credentials_;
  std::int64_t expires_seconds_ = 0;
};

}  // namespace narthex::discovery
