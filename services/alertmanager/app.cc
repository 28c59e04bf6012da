#include "services/alertmanager/app.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/status.h"
#include "services/alertmanager/config.h"

namespace narthex::alertmanager {
namespace {

// How long attempts under way may take to finish when the process stops.
constexpr std::int64_t kStopWaitMs = 5000;

}  // namespace

service::Identity AlertmanagerIdentity() {
  return {"alertmanager", "Narthex Alertmanager", "0.0.0.0:9093"};
}

void AlertmanagerApp::AddFlags(service::FlagSet& flags) {
  flags.String("grpc.listen-address", &grpc_address_,
               "Address to serve gRPC health checks on. Empty: none.");
  flags.String("config.file", &config_file_,
               "Alertmanager configuration file name.");
  flags.String("storage.path", &options_.storage_path,
               "Base path for data storage.");
  flags.Duration("data.retention", &options_.retention_ms,
                 "How long to keep data for.");
  flags.Duration("data.maintenance-interval", &options_.maintenance_interval_ms,
                 "Interval between garbage collections of the silences and "
                 "the notification logs.");
  flags.Int("silences.max-silences", &options_.max_silences,
            "Maximum number of silences, including expired silences. If "
            "negative or zero, no limit is set.");
  flags.Int("silences.max-silence-size-bytes", &options_.max_silence_bytes,
            "Maximum silence size in bytes. If negative or zero, no limit is "
            "set.");
  flags.Duration("alerts.gc-interval", &options_.alert_gc_interval_ms,
                 "Interval between alert GC.");
  flags.Int("alerts.per-alertname-limit", &options_.per_alertname_limit,
            "Maximum number of alerts per alertname. If negative or zero, no "
            "limit is set.");
  flags.Duration("dispatch.maintenance-interval",
                 &options_.dispatcher.maintenance_interval_ms,
                 "Interval between maintenance of aggregation groups in the "
                 "dispatcher.");
  flags.Duration("dispatch.start-delay", &options_.dispatcher.start_delay_ms,
                 "Minimum amount of time to wait before dispatching alerts.");
  flags.Int("web.get-concurrency", &get_concurrency_,
            "Maximum number of GET requests processed concurrently. If "
            "negative or zero, the limit is the number of cores or 8, "
            "whichever is larger.");
  flags.Bool("log.silences", &options_.log_silences,
             "Log every silence that is made, changed or expired.");
  flags.String("cluster.listen-address", &cluster_address_,
               "Listen address for cluster. Only the empty string, which "
               "disables HA mode, is supported yet.");
  flags.Strings("cluster.peer", &cluster_peers_,
                "Initial peers. Not supported yet.");
  flags.String("enable-feature", &features_,
               "Comma-separated features to enable. Valid options: "
               "classic-mode, utf8-strict-mode");
}

absl::StatusOr<MatcherSyntax> AlertmanagerApp::ReadFeatures() const {
  MatcherSyntax syntax = MatcherSyntax::kFallback;
  for (const absl::string_view feature :
       absl::StrSplit(features_, ',', absl::SkipEmpty())) {
    if (feature == "classic-mode") {
      syntax = MatcherSyntax::kClassic;
    } else if (feature == "utf8-strict-mode") {
      syntax = MatcherSyntax::kUtf8;
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown option '", feature, "' for --enable-feature"));
    }
  }
  return syntax;
}

absl::Status AlertmanagerApp::CheckCluster() const {
  if (cluster_address_.empty() && cluster_peers_.empty()) {
    return absl::OkStatus();
  }
  // Two that do not know of each other would both notify.
  return absl::UnimplementedError(
      "--cluster.listen-address and --cluster.peer: known to Alertmanager, not "
      "supported yet; leave them empty");
}

absl::Status AlertmanagerApp::LoadConfig() {
  auto config = alertmanager::LoadConfig(
      config_file_, {.matcher_syntax = options_.matcher_syntax});
  if (!config.ok()) {
    alertmanager_->metrics().ConfigFailed();
    return base::Annotate(config.status(), "load configuration");
  }
  return alertmanager_->ApplyConfig(*std::move(config));
}

absl::Status AlertmanagerApp::Start(service::Process& process) {
  NARTHEX_ASSIGN_OR_RETURN(options_.matcher_syntax, ReadFeatures());
  NARTHEX_RETURN_IF_ERROR(CheckCluster());
  options_.external_url = process.external_url();
  options_.version = service::Build().version;
  NARTHEX_ASSIGN_OR_RETURN(
      alertmanager_,
      Alertmanager::Create(options_, process.clock(), process.registry(),
                           process.log(), [](EventLoop& loop) {
                             return std::make_unique<ClientSender>(loop);
                           }));
  NARTHEX_RETURN_IF_ERROR(LoadConfig());
  process.ConfigLoaded();
  alertmanager_->Start();
  process.OnStop("alertmanager", [this] { alertmanager_->Stop(kStopWaitMs); });
  process.OnReload("configuration", [this] { return LoadConfig(); });
  AddRoutes(process);
  if (!grpc_address_.empty()) {
    NARTHEX_ASSIGN_OR_RETURN(grpc_, rpc::Server::Start(grpc_address_, {}));
    process.OnStop("grpc",
                   [this] { grpc_->Stop(std::chrono::milliseconds(500)); });
  }
  return absl::OkStatus();
}

void AlertmanagerApp::AddRoutes(service::Process& process) {
  const service::BuildInfo& build = service::Build();
  ApiOptions api;
  api.get_concurrency = get_concurrency_;
  api.version = build.version;
  api.revision = build.revision;
  api.build_date = build.build_date;
  api_ =
      std::make_unique<Api>(*alertmanager_, std::move(api), process.registry());
  api_->Register(process.router());
  // An Alertmanager reloads without a flag that allows it.
  process.router().Post(
      "/-/reload", [&process](const http::Request&, http::Response& response) {
        if (const absl::Status status = process.Reload(); !status.ok()) {
          response.Error(
              500, absl::StrCat("failed to reload config: ", status.message()));
        }
      });
}

}  // namespace narthex::alertmanager
