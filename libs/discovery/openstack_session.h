#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "libs/discovery/fetcher.h"
#include "libs/discovery/json.h"
#include "libs/discovery/openstack.h"

namespace narthex::discovery {

/// Authenticated access to the services of an OpenStack region, by version 3
/// of the identity API. Only for .cc files.
class OpenstackSession {
 public:
  /// Asks for a token. Errors begin "could not authenticate to OpenStack".
  static absl::StatusOr<OpenstackSession> Open(const OpenstackConfig& config,
                                               Fetcher& fetcher);

  /// The base URL of a service in the region, with a slash at its end;
  /// kNotFound when the catalogue has none.
  absl::StatusOr<std::string> Endpoint(const std::string& type) const;

  /// Calls `visit` for each item of `key` in all pages from `url` on.
  absl::Status ForEach(const std::string& url, const std::string& key,
                       const std::function<void(const Json&)>& visit) const;

 private:
  OpenstackSession(const OpenstackConfig& config, Fetcher& fetcher)
      : config_(config), fetcher_(fetcher) {}

  const OpenstackConfig& config_;
  Fetcher& fetcher_;
  std::string token_;
  Json catalog_;
};

}  // namespace narthex::discovery
