#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/config/settings.h"
#include "libs/service/auto_reload.h"
#include "libs/service/process.h"
#include "services/ingester/options.h"

namespace narthex::ingester {

inline const service::Identity kIdentity{"ingester", "Narthex Ingester",
                                         "127.0.0.1:9101", true};

/// The ingester: a database behind the Ingester contract.
class IngesterApp : public service::App {
 public:
  IngesterApp();
  ~IngesterApp() override;

  void AddFlags(service::FlagSet& flags) override;
  absl::Status Start(service::Process& process) override;

  /// The gRPC port, once started.
  int grpc_port() const;

 private:
  struct Running;
  // kInvalidArgument when it contradicts the features.
  absl::StatusOr<config::StorageConfig> LoadStorageConfig() const;
  // Whether blocks get their floats as XOR2 chunks.
  bool WritesXor2(const config::StorageConfig& storage) const;
  absl::Status Reload();

  Options options_;
  service::AutoReload auto_reload_;
  bool exemplars_ = false;
  std::unique_ptr<Running> running_;
};

}  // namespace narthex::ingester
