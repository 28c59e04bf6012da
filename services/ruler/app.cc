#include "services/ruler/app.h"

#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/cluster/queryable.h"
#include "libs/cluster/writer.h"
#include "libs/config/config.h"
#include "libs/promql/features.h"
#include "libs/rpc/server.h"
#include "libs/rules/manager.h"
#include "services/ruler/alerting.h"
#include "services/ruler/querier_client.h"
#include "services/ruler/result_writer.h"
#include "services/ruler/service.h"

namespace narthex::ruler {
namespace {

// How long the results of one rule may take to be stored.
constexpr std::chrono::milliseconds kStoreTimeout{10'000};
constexpr std::chrono::milliseconds kDeliverGrace{5'000};
constexpr std::chrono::milliseconds kCallGrace{1'000};
constexpr std::int64_t kDrainGraceMs = 10'000;
// Evaluations wait for queriers most of the time.
constexpr int kThreads = 16;

std::vector<absl::string_view> Features() {
  std::vector<absl::string_view> names = promql::FeatureNames();
  names.push_back(service::kAutoReloadFeature);
  return names;
}

}  // namespace

// In the order in which it is built; destroyed in the opposite one.
struct RulerApp::Running {
  Running(std::unique_ptr<cluster::Writer> w,
          std::unique_ptr<cluster::IngesterQueryable> s,
          const cluster::AddressList& querier_addresses,
          std::chrono::milliseconds query_timeout,
          rules::NotifierOptions notifier, service::Process& process)
      : writer(std::move(w)),
        storage(std::move(s)),
        results(*writer, kStoreTimeout),
        queriers(querier_addresses, query_timeout),
        alerting(notifier, process.clock(), process.log(), process.registry()) {
  }

  std::unique_ptr<cluster::Writer> writer;
  std::unique_ptr<cluster::IngesterQueryable> storage;
  ResultWriter results;
  QuerierClient queriers;
  Alerting alerting;
  std::unique_ptr<rules::Manager> manager;
  std::unique_ptr<RulerService> service;
  std::unique_ptr<rpc::Server> server;
};

RulerApp::RulerApp() : features_(Features()) {}
RulerApp::~RulerApp() = default;

void RulerApp::AddFlags(service::FlagSet& flags) {
  flags.String("config.file", &config_file_, "Prometheus configuration file.");
  auto_reload_.AddFlags(flags);
  flags.String("grpc.listen-address", &grpc_address_,
               "Address to serve gRPC on.");
  flags.String("ingester.addresses", &ingesters_,
               "gRPC addresses of the ingesters: host:port,... or "
               "dns://name:port.");
  flags.Int("ingester.replication-factor", &replication_factor_,
            "In how many ingesters each series is, at most as many as there "
            "are. The same for all services.");
  flags.String("querier.addresses", &queriers_,
               "gRPC addresses of the queriers: host:port,... or "
               "dns://name:port.");
  flags.Duration("query.timeout", &query_timeout_ms_,
                 "Longest time a query of a rule may take.");
  flags.Duration("rules.alert.for-outage-tolerance", &outage_tolerance_ms_,
                 "Longest outage after which the state of an alert is "
                 "restored.");
  flags.Duration("rules.alert.for-grace-period", &for_grace_period_ms_,
                 "Least time between a restart and the firing of a restored "
                 "alert; alerts with a shorter `for` are not restored.");
  flags.Duration("rules.alert.resend-delay", &resend_delay_ms_,
                 "Least time before an alert is sent again.");
  flags.Int("alertmanager.notification-queue-capacity", &queue_capacity_,
            "Alerts that may wait for one Alertmanager.");
  flags.Int("alertmanager.notification-batch-size", &batch_size_,
            "Most alerts in one request.");
  flags.Bool("alertmanager.drain-notification-queue-on-shutdown", &drain_queue_,
             "Send waiting alerts before stopping.");
  flags.WithoutEffect("rules.max-concurrent-evals", "4",
                      "the rules of a group are evaluated in order");
  features_.AddFlag(flags);
}

int RulerApp::grpc_port() const { return running_->server->port(); }

absl::Status RulerApp::Load(service::Process& process) {
  NARTHEX_ASSIGN_OR_RETURN(const config::Config config,
                           config::Load(config_file_));
  for (const std::string& warning : config.warnings) {
    process.log().Warn("configuration", {{"warning", warning}});
  }
  NARTHEX_ASSIGN_OR_RETURN(rules::NotifierConfig notifier,
                           Alerting::Check(config));
  promql::EngineOptions language;
  for (const std::string& feature : features_.Names()) {
    promql::EnableFeature(feature, &language);
  }
  std::vector<rules::RuleFile> files;
  for (const std::string& path : config.RuleFilePaths()) {
    NARTHEX_ASSIGN_OR_RETURN(rules::RuleFile file,
                             rules::LoadRuleFile(path, language.parser));
    files.push_back(std::move(file));
  }
  // Everything is known to be good; from here on nothing fails.
  running_->alerting.Apply(config, std::move(notifier));
  rules::GroupSettings settings;
  settings.interval_ms = config.global.evaluation_interval_ms;
  settings.query_offset_ms = config.global.rule_query_offset_ms;
  settings.external_labels = config.global.external_labels;
  settings.external_url = process.external_url();
  running_->manager->Update(std::move(files), settings);
  base::MutexLock lock(files_mutex_);
  files_ = config.Files(config_file_);
  return absl::OkStatus();
}

absl::Status RulerApp::Start(service::Process& process) {
  features_.Log(process.log());
  if (queue_capacity_ < 1 || batch_size_ < 1) {
    return absl::InvalidArgumentError(
        "--alertmanager.notification-queue-capacity and "
        "--alertmanager.notification-batch-size must be positive");
  }
  NARTHEX_ASSIGN_OR_RETURN(const cluster::AddressList ingesters,
                           cluster::ParseAddressList(ingesters_));
  NARTHEX_ASSIGN_OR_RETURN(const cluster::AddressList queriers,
                           cluster::ParseAddressList(queriers_));
  cluster::WriterOptions write_options;
  write_options.replication_factor =
      cluster::ReplicationFactor(replication_factor_);
  NARTHEX_ASSIGN_OR_RETURN(
      auto writer, cluster::Writer::Create(ingesters, write_options,
                                           process.log(), process.registry()));
  cluster::QueryableOptions read_options;
  read_options.replication_factor = write_options.replication_factor;
  read_options.log = process.log();
  read_options.registry = &process.registry();
  NARTHEX_ASSIGN_OR_RETURN(auto storage, cluster::IngesterQueryable::Create(
                                             ingesters, read_options));
  running_ = std::make_unique<Running>(
      std::move(writer), std::move(storage), queriers,
      std::chrono::milliseconds(query_timeout_ms_),
      rules::NotifierOptions{static_cast<std::size_t>(queue_capacity_),
                             static_cast<std::size_t>(batch_size_),
                             drain_queue_},
      process);
  Running& running = *running_;
  process.OnStop("results",
                 [&running] { running.writer->Stop(kDeliverGrace); });
  process.OnStop("alerting",
                 [&running] { running.alerting.Stop(kDrainGraceMs); });

  rules::ManagerOptions options;
  options.threads = kThreads;
  options.group.query = [&running](absl::string_view expression,
                                   std::int64_t time_ms,
                                   absl::string_view origin) {
    return running.queriers.Query(expression, time_ms, origin);
  };
  options.group.append =
      [&running](const std::vector<rules::ResultSample>& batch) {
        return running.results.Append(batch);
      };
  options.group.notify = [&running](std::vector<rules::OutgoingAlert> alerts) {
    running.alerting.notifier().Send(std::move(alerts));
  };
  options.group.storage = running.storage.get();
  options.group.resend_delay_ms = resend_delay_ms_;
  options.group.outage_tolerance_ms = outage_tolerance_ms_;
  options.group.for_grace_period_ms = for_grace_period_ms_;
  running.manager = std::make_unique<rules::Manager>(
      std::move(options), process.clock(), process.log(), process.registry());

  NARTHEX_RETURN_IF_ERROR(Load(process));
  process.ConfigLoaded();
  process.OnReload("rules", [this, &process] { return Load(process); });
  auto_reload_.Start(process, features_, [this] {
    base::ReaderMutexLock lock(files_mutex_);
    return files_;
  });
  running.service = std::make_unique<RulerService>(*running.manager,
                                                   running.alerting.notifier());
  NARTHEX_ASSIGN_OR_RETURN(
      running.server,
      rpc::Server::Start(grpc_address_, {running.service.get()}));
  process.OnStop("grpc", [&running] { running.server->Stop(kCallGrace); });
  running.manager->Start();
  process.OnStop("evaluations", [&running] {
    running.queriers.Stop();
    running.manager->Stop();
  });
  return absl::OkStatus();
}

}  // namespace narthex::ruler
