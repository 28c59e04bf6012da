#include "services/querier/app.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/cluster/queryable.h"
#include "libs/cluster/writer.h"
#include "libs/rpc/server.h"
#include "services/querier/admin_api.h"
#include "services/querier/exemplars_api.h"
#include "services/querier/federate.h"
#include "services/querier/grpc_service.h"
#include "services/querier/loaded_config.h"
#include "services/querier/queries_api.h"
#include "services/querier/relabel_steps.h"
#include "services/querier/remote_read.h"
#include "services/querier/remote_write.h"
#include "services/querier/rules_api.h"
#include "services/querier/series_api.h"
#include "services/querier/status_api.h"
#include "services/querier/targets_api.h"
#include "services/querier/ui.h"

namespace narthex::querier {
namespace {

constexpr std::chrono::milliseconds kStopGrace{5'000};
// Threads that share the work of queries, at most.
constexpr std::size_t kMaxHelpers = 15;

promql::EngineOptions WithHelpers(promql::EngineOptions options,
                                  base::TaskPool* helpers) {
  options.helpers = helpers;
  return options;
}

absl::StatusOr<std::unique_ptr<Peers>> MakePeers(const std::string& service,
                                                 const std::string& addresses,
                                                 base::Clock& clock) {
  auto list = cluster::ParseAddressList(addresses);
  if (!list.ok()) {
    return base::Annotate(list.status(),
                          absl::StrCat("--", service, ".addresses"));
  }
  return std::make_unique<Peers>(service, *std::move(list), clock);
}

}  // namespace

struct QuerierApp::Running {
  Running(service::Process& process, const Options& options,
          const promql::EngineOptions& engine_options)
      : config(options.config_file, process.clock(), process.log()),
        metrics(process.registry(), engine_options.max_concurrency),
        engine(WithHelpers(engine_options, &query_helpers), process.clock()),
        running(process.clock()),
        query_log(process.clock(), process.registry()) {}

  LoadedConfig config;
  Metrics metrics;
  base::TaskPool query_helpers{base::TaskPool::HelpersOfMachine(kMaxHelpers)};
  promql::Engine engine;
  service::HangupWatch hangups;
  RunningQueries running;
  QueryLog query_log;
  std::unique_ptr<ActiveQueries> active_queries;
  std::unique_ptr<cluster::IngesterQueryable> ingesters;
  std::unique_ptr<cluster::Writer> writer;
  std::unique_ptr<Peers> scrapers;
  std::unique_ptr<Peers> rulers;
  std::unique_ptr<QueryContext> queries;
  std::unique_ptr<RemoteRead> remote_read;
  std::unique_ptr<RemoteWrite> remote_write;
  std::unique_ptr<QuerierService> service;
  std::unique_ptr<rpc::Server> server;
};

QuerierApp::QuerierApp() = default;
QuerierApp::~QuerierApp() = default;

void QuerierApp::AddFlags(service::FlagSet& flags) {
  options_.AddTo(flags);
  auto_reload_.AddFlags(flags);
}

int QuerierApp::grpc_port() const { return running_->server->port(); }

absl::Status QuerierApp::Start(service::Process& process) {
  options_.features.Log(process.log());
  NARTHEX_RETURN_IF_ERROR(
      RemoteWrite::CheckMessages(options_.accepted_messages));
  NARTHEX_ASSIGN_OR_RETURN(const promql::EngineOptions engine_options,
                           options_.ForEngine());
  running_ = std::make_unique<Running>(process, options_, engine_options);
  Running& r = *running_;
  NARTHEX_RETURN_IF_ERROR(r.config.Load());
  process.ConfigLoaded();

  const auto ingesters = cluster::ParseAddressList(options_.ingesters);
  if (!ingesters.ok()) {
    return base::Annotate(ingesters.status(), "--ingester.addresses");
  }
  cluster::QueryableOptions read_options;
  read_options.timeout = std::chrono::milliseconds(options_.query_timeout_ms);
  read_options.replication_factor =
      cluster::ReplicationFactor(options_.replication_factor);
  read_options.log = process.log();
  read_options.registry = &process.registry();
  NARTHEX_ASSIGN_OR_RETURN(r.ingesters, cluster::IngesterQueryable::Create(
                                            *ingesters, read_options));
  NARTHEX_ASSIGN_OR_RETURN(
      r.scrapers, MakePeers("scraper", options_.scrapers, process.clock()));
  NARTHEX_ASSIGN_OR_RETURN(
      r.rulers, MakePeers("ruler", options_.rulers, process.clock()));
  if (!options_.active_queries_file.empty()) {
    NARTHEX_ASSIGN_OR_RETURN(
        r.active_queries,
        ActiveQueries::Open(options_.active_queries_file,
                            static_cast<std::size_t>(options_.max_concurrency),
                            process.log()));
  }
  r.queries.reset(new QueryContext{
      r.engine, *r.ingesters, r.ingesters.get(), process.clock(), r.hangups,
      r.metrics, r.running, r.query_log, r.active_queries.get(), process.log(),
      options_.slow_query_ms});
  r.queries->per_step_stats = options_.features.Has(kPerStepStats);
  const auto apply = [&r] {
    const auto config = r.config.snapshot();
    r.queries->subquery_step_ms = config->evaluation_interval_ms;
    return r.query_log.SetFile(config->query_log_file);
  };
  NARTHEX_RETURN_IF_ERROR(apply());
  process.OnReload("configuration", [&r, apply] {
    absl::Status status = r.config.Load();
    status.Update(apply());
    return status;
  });
  auto_reload_.Start(process, options_.features,
                     [&r] { return r.config.snapshot()->files; });

  if (options_.remote_write_receiver) {
    cluster::WriterOptions write_options;
    write_options.replication_factor = read_options.replication_factor;
    NARTHEX_ASSIGN_OR_RETURN(
        r.writer, cluster::Writer::Create(*ingesters, write_options,
                                          process.log(), process.registry()));
    process.OnStop("writer", [&r] { r.writer->Stop(kStopGrace); });
    r.remote_write =
        std::make_unique<RemoteWrite>(*r.writer, process.clock(), process.log(),
                                      r.metrics, options_.accepted_messages);
  }
  NARTHEX_RETURN_IF_ERROR(AddRoutes(process));

  r.service = std::make_unique<QuerierService>(*r.queries);
  NARTHEX_ASSIGN_OR_RETURN(
      r.server, rpc::Server::Start(options_.grpc_address, {r.service.get()}));
  process.OnStop("grpc", [&r] { r.server->Stop(kStopGrace); });
  return absl::OkStatus();
}

absl::Status QuerierApp::AddRoutes(service::Process& process) {
  Running& r = *running_;
  http::Router& router = process.router();
  NARTHEX_ASSIGN_OR_RETURN(ApiRoutes routes,
                           ApiRoutes::Create(&router, options_.cors_origin));
  AddQueryRoutes(routes, *r.queries);
  AddQueriesRoutes(routes, r.running, *r.ingesters, options_.admin_api);
  AddSeriesRoutes(
      routes,
      {r.ingesters.get(), [&r](const storage::TimeRange& range,
                               const MatcherSets& sets, std::size_t limit) {
         return r.ingesters->SeriesLabels(range, sets, limit);
       }});
  AddExemplarRoutes(routes, *r.ingesters, r.engine.options().parser);
  AddTargetRoutes(routes, *r.scrapers);
  AddScrapePoolRoutes(routes, r.config);
  AddRuleRoutes(routes, *r.rulers);
  AddAdminRoutes(routes, *r.ingesters, options_.admin_api, process.log());
  AddStatusRoutes(routes, router,
                  {process, [&r] { return r.config.snapshot()->yaml; },
                   [&r] { return r.config.ok(); },
                   [&r] { return r.config.snapshot()->loaded_ms; },
                   [&r](std::uint32_t limit) {
                     return r.ingesters->HeadCardinality(limit);
                   },
                   [&r] { return r.ingesters->StorageStatuses(); }});
  const auto external_labels = [&r] {
    auto snapshot = r.config.snapshot();
    return std::shared_ptr<const model::Labels>(snapshot,
                                                &snapshot->external_labels);
  };
  AddFederation(router, {*r.ingesters, process.clock(), r.metrics,
                         options_.lookback_delta_ms, external_labels});
  r.remote_read = std::make_unique<RemoteRead>(
      *r.ingesters,
      RemoteRead::Options{options_.read_sample_limit,
                          static_cast<int>(options_.read_concurrent_limit),
                          options_.read_frame_bytes},
      external_labels);
  AddRemoteRead(router, *r.remote_read);
  if (r.remote_write != nullptr) {
    AddRemoteWrite(router, *r.remote_write);
  } else {
    router.Post(
        "/api/v1/write", [](const http::Request&, http::Response& response) {
          response.Error(404,
                         "remote write receiver needs to be enabled with "
                         "--web.enable-remote-write-receiver");
        });
  }
  AddUi(router, process.route_prefix(), options_.page_title);
  return absl::OkStatus();
}

}  // namespace narthex::querier
