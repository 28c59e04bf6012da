#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/discovery/azure.h"
#include "libs/discovery/cached_token.h"
#include "libs/discovery/fetcher.h"
#include "libs/discovery/json.h"

namespace narthex::discovery {

/// Reads from the Azure Resource Manager of one cloud as one identity. Only
/// for .cc files. Used by one thread.
class AzureApi {
 public:
  AzureApi(const AzureConfig& config, AzureCloud cloud)
      : config_(config), cloud_(std::move(cloud)) {}

  /// Calls `visit` for each item of all pages of a list; `path` begins with a
  /// slash and ends with the version of the API.
  absl::Status ForEach(Fetcher& fetcher, const std::string& path,
                       const std::function<void(const Json&)>& visit);
  /// One object; kNotFound when there is none.
  absl::StatusOr<Json> Get(Fetcher& fetcher, const std::string& path);
  /// Objects in the order of their paths, several asked for at once; null for
  /// what is not there or cannot be read.
  absl::StatusOr<std::vector<Json>> GetAll(
      Fetcher& fetcher, const std::vector<std::string>& paths);

 private:
  absl::StatusOr<http::FetchRequest> Request(Fetcher& fetcher,
                                             const std::string& url);
  absl::StatusOr<Json> GetUrl(Fetcher& fetcher, const std::string& url);
  /// The request that gives a token, by the method of authentication.
  absl::StatusOr<http::FetchRequest> TokenRequest(
      std::int64_t now_seconds) const;
  absl::StatusOr<http::FetchRequest> SecretRequest(
      const std::string& tenant, const std::string& client,
      const std::string& secret, std::int64_t now_seconds) const;
  absl::StatusOr<http::FetchRequest> WorkloadRequest(
      std::int64_t now_seconds) const;
  http::FetchRequest ManagedRequest() const;

  const AzureConfig& config_;
  const AzureCloud cloud_;
  CachedToken token_;
};

}  // namespace narthex::discovery
