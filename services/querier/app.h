#pragma once

#include <memory>

#include "libs/service/auto_reload.h"
#include "libs/service/process.h"
#include "services/querier/options.h"

namespace narthex::querier {

inline const service::Identity kIdentity{"querier", "Narthex Querier",
                                         "127.0.0.1:9090", true};

/// The querier: Prometheus's HTTP API and user interface over all ingesters,
/// scrapers and rulers.
class QuerierApp : public service::App {
 public:
  QuerierApp();
  ~QuerierApp() override;

  void AddFlags(service::FlagSet& flags) override;
  absl::Status Start(service::Process& process) override;

  /// The gRPC port, once started.
  int grpc_port() const;

 private:
  struct Running;
  absl::Status AddRoutes(service::Process& process);

  Options options_;
  service::AutoReload auto_reload_;
  std::unique_ptr<Running> running_;
};

}  // namespace narthex::querier
