#pragma once

#include <memory>
#include <string>

#include "libs/rpc/server.h"
#include "libs/service/process.h"
#include "services/pushgateway/handlers.h"
#include "services/pushgateway/store.h"

namespace narthex::pushgateway {

inline const service::Identity kIdentity{"pushgateway", "Narthex Pushgateway",
                                         ":9091"};

/// The pushgateway: groups pushed by short-lived jobs, kept for scrapes.
class PushgatewayApp : public service::App {
 public:
  PushgatewayApp();
  ~PushgatewayApp() override;

  void AddFlags(service::FlagSet& flags) override;
  absl::Status Start(service::Process& process) override;

 private:
  // Where groups are stored; empty when nowhere.
  std::string StorageDirectory() const;

  HandlerOptions options_;
  std::string storage_path_;
  std::string persistence_file_;
  std::int64_t persistence_interval_ms_ = 5 * 60 * 1000;
  bool disable_consistency_check_ = false;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Handlers> handlers_;
  std::string grpc_address_;
  std::unique_ptr<rpc::Server> grpc_;
};

}  // namespace narthex::pushgateway
