#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/discovery/docker_filter.h"
#include "libs/discovery/fetcher.h"
#include "libs/discovery/json.h"
#include "libs/http/client_config.h"
#include "libs/model/labels.h"

namespace narthex::discovery {

/// Asks one Docker daemon, by HTTP or over a Unix socket. The paths carry no
/// version, which makes the daemon answer with its own.
class DockerApi {
 public:
  /// `host` as in "unix:///var/run/docker.sock", "tcp://h:2375", "http://h".
  DockerApi(const std::string& host, const std::vector<DockerFilter>& filters,
            std::int64_t timeout_ms);

  /// The list at `path` ("/containers/json"), its items checked to be maps.
  absl::StatusOr<std::vector<Json>> List(Fetcher& fetcher,
                                         const std::string& path) const;
  /// The same, of what the filters let through.
  absl::StatusOr<std::vector<Json>> ListFiltered(Fetcher& fetcher,
                                                 const std::string& path) const;
  /// The labels <prefix>network_* by the network's id.
  absl::StatusOr<std::map<std::string, model::Labels>> NetworkLabels(
      Fetcher& fetcher, const std::string& prefix) const;

 private:
  std::string base_url_;
  std::string unix_socket_;
  std::string filters_;  // As a query string.
  std::int64_t timeout_ms_;
};

/// The client's options count for HTTP alone, as in Prometheus.
std::shared_ptr<const http::ClientConfig> DockerClient(
    const std::string& host, const http::ClientConfig& config);

}  // namespace narthex::discovery
