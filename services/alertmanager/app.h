#pragma once

#include <memory>
#include <string>
#include <vector>

#include "libs/rpc/server.h"
#include "libs/service/process.h"
#include "services/alertmanager/alertmanager.h"
#include "services/alertmanager/api.h"

namespace narthex::alertmanager {

/// Name, title and address of the service.
service::Identity AlertmanagerIdentity();

/// The Alertmanager inside a process: flags, configuration file, reload and
/// routes.
class AlertmanagerApp : public service::App {
 public:
  AlertmanagerApp() = default;

  void AddFlags(service::FlagSet& flags) override;
  absl::Status Start(service::Process& process) override;

  /// After Start().
  Alertmanager& alertmanager() { return *alertmanager_; }

 private:
  absl::StatusOr<MatcherSyntax> ReadFeatures() const;
  absl::Status LoadConfig();
  absl::Status CheckCluster() const;
  void AddRoutes(service::Process& process);

  std::string config_file_ = "alertmanager.yml";
  std::string features_;
  std::string cluster_address_;
  std::vector<std::string> cluster_peers_;
  std::int64_t get_concurrency_ = 0;
  AlertmanagerOptions options_;
  std::unique_ptr<Alertmanager> alertmanager_;
  std::unique_ptr<Api> api_;
  std::string grpc_address_;
  std::unique_ptr<rpc::Server> grpc_;
};

}  // namespace narthex::alertmanager
