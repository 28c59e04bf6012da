#include "services/scraper/app.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>

#include "absl/strings/str_cat.h"
#include "libs/base/hash.h"
#include "libs/base/status.h"
#include "libs/config/config.h"
#include "libs/rpc/server.h"
#include "libs/service/memory_budget.h"
#include "services/scraper/scrape_manager.h"
#include "services/scraper/service.h"

namespace narthex::scraper {
namespace {

constexpr std::chrono::milliseconds kDeliverGrace{10'000};
constexpr std::chrono::milliseconds kCallGrace{1'000};

std::string HostName() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

// One for each of many targets, as a connection that is kept costs less than a
// new one for every scrape; what is beyond is closed after use. A quarter of
// the descriptors is for everything else.
int MostIdleConnections() {
  constexpr rlim_t kMost = 20'000;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1'000;
  limit.rlim_cur = limit.rlim_max;
  // Where that is refused the limit stays as it was.
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    (void)::getrlimit(RLIMIT_NOFILE, &limit);
  }
  return static_cast<int>(std::min(kMost, limit.rlim_cur / 4 * 3));
}

// Processes of a replicated set differ in host or in external labels, and so
// do not scrape a target at the same time.
std::uint64_t OffsetSeed(const config::Config& config) {
  return base::XxHash64(
      absl::StrCat(HostName(), config.global.external_labels.encoded()));
}

}  // namespace

// In the order in which it is built; destroyed in the opposite one.
struct ScraperApp::Running {
  Running(service::Process& process, std::unique_ptr<cluster::Writer> w,
          std::size_t max_bodies_bytes)
      : metrics(process.registry()),
        discovery_metrics(process.registry(), "scrape"),
        writer(std::move(w)),
        bodies(max_bodies_bytes),
        workers(std::make_unique<WorkerPool>(
            std::max(2U, std::thread::hardware_concurrency()))),
        client(std::make_unique<http::Client>(http::ClientOptions{
            .max_idle_connections = MostIdleConnections(),
            .user_agent = absl::StrCat("Prometheus/3.14.0 Narthex/",
                                       service::Build().version)})),
        context{*client, *writer,         *workers,     metadata,
                metrics, process.clock(), process.log()},
        scheduler(process.clock()) {
    context.bodies = &bodies;
    metrics.ObserveBodies(bodies);
  }

  Metrics metrics;
  discovery::Metrics discovery_metrics;
  MetadataPool metadata;
  std::unique_ptr<cluster::Writer> writer;
  http::BodyBudget bodies;
  std::unique_ptr<WorkerPool> workers;
  std::unique_ptr<http::Client> client;
  LoopContext context;
  Scheduler scheduler;
  std::unique_ptr<ScrapeManager> manager;
  std::unique_ptr<ScraperService> service;
  std::unique_ptr<rpc::Server> server;
};

ScraperApp::ScraperApp() = default;
ScraperApp::~ScraperApp() = default;

void ScraperApp::AddFlags(service::FlagSet& flags) {
  flags.String("config.file", &config_file_, "Prometheus configuration file.");
  auto_reload_.AddFlags(flags);
  flags.Bool("scrape.adjust-timestamps", &adjust_timestamps_,
             "Give scrapes that begin nearly as planned the planned time, so "
             "that timestamps compress better.");
  flags.Duration("scrape.discovery-reload-interval", &discovery_interval_ms_,
                 "Least time between two changes of targets that discovery "
                 "causes.");
  flags.Duration("scrape.timestamp-tolerance", &timestamp_tolerance_ms_,
                 "How near that is.");
  flags.Size("scrape.max-body-size", &max_body_bytes_,
             "No body of a scrape is larger, whatever body_size_limit says; "
             "0 is no limit.");
  flags.String("scrape.max-bodies-memory", &max_bodies_memory_,
               "Memory of all bodies under way, received or unpacked, beyond "
               "which scrapes of large ones fail; those up to 256KB never do. "
               "A size such as 1GB, a share such as 25% of what the machine "
               "or the control group has, or 0 for no bound.");
  flags.String("grpc.listen-address", &grpc_address_,
               "Address to serve gRPC on.");
  flags.String("ingester.addresses", &ingesters_,
               "gRPC addresses of the ingesters: host:port,... or "
               "dns://name:port.");
  flags.Int("ingester.replication-factor", &replication_factor_,
            "In how many ingesters each series is, at most as many as there "
            "are. The same for all services.");
  flags.String("shard", &shard_,
               "Which share of the targets to scrape, i/n with i from 0.");
  flags.String("storage.path", &storage_path_,
               "Directory for what waits on disk while an ingester is away; "
               "empty: it waits in memory only.");
  flags.Int("queue.max-samples", &max_queued_samples_,
            "Samples (24 bytes each) that may wait for one ingester in memory; "
            "more are dropped and counted.");
  flags.Size("queue.max-bytes", &max_queued_bytes_,
             "How much may wait for one ingester on disk; beyond that the "
             "oldest samples are dropped and counted.");
  flags.Duration("queue.max-age", &max_queued_age_ms_,
                 "How long samples may wait on disk before they are dropped "
                 "and counted.");
  flags.Duration("queue.batch-wait", &batch_wait_ms_,
                 "How long samples may wait for others to be sent with.");
  features_.AddFlag(flags);
}

int ScraperApp::grpc_port() const { return running_->server->port(); }

config::GlobalConfig ScraperApp::Defaults() const {
  config::GlobalConfig defaults;
  defaults.extra_scrape_metrics = features_.Has("extra-scrape-metrics");
  if (features_.Has(kStartZeros) || features_.Has(kStartTimes)) {
    defaults.scrape_protocols = config::ProtobufFirstProtocols();
  }
  return defaults;
}

absl::Status ScraperApp::Load(service::Process& process) {
  NARTHEX_ASSIGN_OR_RETURN(const config::Config config,
                           config::Load(config_file_, Defaults()));
  for (const std::string& warning : config.warnings) {
    process.log().Warn("configuration", {{"warning", warning}});
  }
  for (const std::string& section : config.unsupported) {
    process.log().Error("configuration without effect", {{"err", section}});
  }
  running_->context.offset_seed = OffsetSeed(config);
  NARTHEX_RETURN_IF_ERROR(running_->manager->Apply(config));
  base::MutexLock lock(files_mutex_);
  files_ = config.Files(config_file_);
  return absl::OkStatus();
}

absl::Status ScraperApp::Start(service::Process& process) {
  features_.Log(process.log());
  NARTHEX_ASSIGN_OR_RETURN(const Shard shard, ParseShard(shard_));
  NARTHEX_ASSIGN_OR_RETURN(const cluster::AddressList ingesters,
                           cluster::ParseAddressList(ingesters_));
  auto max_bodies_bytes = service::MemoryBudget(max_bodies_memory_);
  if (!max_bodies_bytes.ok()) {
    return base::Annotate(max_bodies_bytes.status(),
                          "scrape.max-bodies-memory");
  }
  // Before anything is started, so that a bad file stops it all.
  NARTHEX_RETURN_IF_ERROR(config::Load(config_file_, Defaults()).status());
  cluster::WriterOptions options;
  options.replication_factor = cluster::ReplicationFactor(replication_factor_);
  options.linger = std::chrono::milliseconds(batch_wait_ms_);
  options.max_queued_samples = static_cast<std::size_t>(max_queued_samples_);
  if (!storage_path_.empty()) {
    options.disk.directory = absl::StrCat(storage_path_, "/queue");
    options.disk.max_bytes = static_cast<std::uint64_t>(max_queued_bytes_);
    options.disk.max_age = std::chrono::milliseconds(max_queued_age_ms_);
  }
  // Counts in the same metrics as the loops.
  const auto metrics = std::make_shared<Metrics>(process.registry());
  options.on_late_rejection = [metrics](storage::RejectReason reason,
                                        bool is_exemplar) {
    if (is_exemplar) {
      metrics->CountRefusedExemplars({0}, {{0, reason}});
    } else {
      metrics->CountRefusal(reason, /*exposed=*/true);
    }
  };
  NARTHEX_ASSIGN_OR_RETURN(
      auto writer, cluster::Writer::Create(ingesters, options, process.log(),
                                           process.registry()));
  running_ =
      std::make_unique<Running>(process, std::move(writer), *max_bodies_bytes);
  running_->context.timestamp_tolerance_ms =
      adjust_timestamps_ ? timestamp_tolerance_ms_ : 0;
  running_->context.max_body_bytes = max_body_bytes_;
  running_->context.series.family_labels =
      features_.Has("type-and-unit-labels");
  running_->context.series.start_zeros = features_.Has(kStartZeros);
  running_->context.series.start_times = features_.Has(kStartTimes);
  process.OnStop("scrapes", [this] {
    running_->scheduler.Stop();
    // Ends running requests; their outcomes go through the workers.
    running_->client.reset();
    running_->workers.reset();
    running_->writer->Stop(kDeliverGrace);
    // Scrape loops take themselves off the gauges of a registry that is gone
    // when the app is.
    running_.reset();
  });
  running_->manager = std::make_unique<ScrapeManager>(
      shard, running_->scheduler, running_->context,
      discovery::Manager::Options{discovery_interval_ms_},
      running_->discovery_metrics);
  process.OnStop("discovery", [this] { running_->manager.reset(); });
  NARTHEX_RETURN_IF_ERROR(Load(process));
  process.ConfigLoaded();
  process.OnReload("scrape configuration",
                   [this, &process] { return Load(process); });
  auto_reload_.Start(process, features_, [this] {
    base::ReaderMutexLock lock(files_mutex_);
    return files_;
  });
  running_->service =
      std::make_unique<ScraperService>(*running_->manager, HostName());
  NARTHEX_ASSIGN_OR_RETURN(
      running_->server,
      rpc::Server::Start(grpc_address_, {running_->service.get()}));
  process.OnStop("grpc", [this] { running_->server->Stop(kCallGrace); });
  return absl::OkStatus();
}

}  // namespace narthex::scraper
