#include "services/pushgateway/app.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"

namespace narthex::pushgateway {

PushgatewayApp::PushgatewayApp() = default;
PushgatewayApp::~PushgatewayApp() = default;

void PushgatewayApp::AddFlags(service::FlagSet& flags) {
  flags.String("grpc.listen-address", &grpc_address_,
               "Address to serve gRPC health checks on. Empty: none.");
  flags.String("storage.path", &storage_path_,
               "Directory to keep pushed groups in: every push is stored "
               "before it is answered. If this and --persistence.file are "
               "empty, groups are only kept in memory.");
  flags.String("persistence.file", &persistence_file_,
               "Without --storage.path, groups are kept in a directory of "
               "this name with \".groups\" added.");
  flags.Duration("persistence.interval", &persistence_interval_ms_,
                 "Accepted for compatibility: there is nothing to wait for, "
                 "every push is stored at once.");
  flags.Bool("push.disable-consistency-check", &disable_consistency_check_,
             "Do not check consistency of pushed metrics. DANGEROUS.");
  flags.Bool("push.enable-utf8-names", &options_.utf8_names,
             "Allow UTF-8 characters in metric and label names.");
  flags.String("web.telemetry-path", &options_.telemetry_path,
               "Path under which to expose metrics.");
  flags.Bool("web.enable-admin-api", &options_.enable_admin_api,
             "Enable API endpoints for admin control actions.");
}

std::string PushgatewayApp::StorageDirectory() const {
  if (!storage_path_.empty()) return storage_path_;
  if (persistence_file_.empty()) return "";
  return absl::StrCat(persistence_file_, ".groups");
}

absl::Status PushgatewayApp::Start(service::Process& process) {
  metrics_ = std::make_unique<Metrics>(process.registry());
  options_.check_consistency = !disable_consistency_check_;
  StoreOptions store_options;
  store_options.check_consistency = options_.check_consistency;
  store_options.own_families = FamilyTypes(process.registry().Expose());
  if (const std::string directory = StorageDirectory(); !directory.empty()) {
    NARTHEX_ASSIGN_OR_RETURN(store_options.persistence,
                             Persistence::Open(directory));
  }
  NARTHEX_ASSIGN_OR_RETURN(
      store_, Store::Open(std::move(store_options), process.clock()));
  process.OnStop("store", [this] { store_.reset(); });
  process.log().Info("groups loaded", {{"groups", store_->group_count()},
                                       {"directory", StorageDirectory()}});
  handlers_ = std::make_unique<Handlers>(process, *store_, *metrics_, options_);
  handlers_->AddRoutes();
  if (!grpc_address_.empty()) {
    NARTHEX_ASSIGN_OR_RETURN(grpc_, rpc::Server::Start(grpc_address_, {}));
    process.OnStop("grpc",
                   [this] { grpc_->Stop(std::chrono::milliseconds(500)); });
  }
  return absl::OkStatus();
}

}  // namespace narthex::pushgateway
