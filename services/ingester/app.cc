#include "services/ingester/app.h"

#include <malloc.h>

#include <algorithm>
#include <functional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "libs/base/mutex.h"
#include "libs/base/status.h"
#include "libs/config/config.h"
#include "libs/rpc/local_server.h"
#include "libs/rpc/server.h"
#include "services/ingester/metrics.h"
#include "services/ingester/service.h"

namespace narthex::ingester {
namespace {

constexpr std::chrono::milliseconds kMoveChunksEvery{1'000};
constexpr std::chrono::milliseconds kStopGrace{5'000};
// At most what a lost machine may lose under --storage.tsdb.wal-fsync=interval.
constexpr std::chrono::milliseconds kSyncEvery{1'000};

// Calls a function again and again, at intervals of a clock that nobody sets.
class Periodic {
 public:
  Periodic(std::string what, std::chrono::milliseconds interval,
           std::function<absl::Status()> call, base::Logger log)
      : what_(std::move(what)),
        interval_(interval),
        call_(std::move(call)),
        log_(std::move(log)),
        thread_([this] { Run(); }) {}

  ~Periodic() {
    {
      base::MutexLock lock(mutex_);
      stopping_ = true;
      stop_.NotifyAll();
    }
    thread_.join();
  }
  Periodic(const Periodic&) = delete;
  Periodic& operator=(const Periodic&) = delete;

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mutex_) {
    while (true) {
      {
        base::MutexLock lock(mutex_);
        if (!stopping_) stop_.WaitFor(mutex_, interval_);
        if (stopping_) return;
      }
      const absl::Status status = call_();
      if (!status.ok() && !absl::IsCancelled(status)) {
        log_.Error(what_, {{"err", status.ToString()}});
      }
    }
  }

  const std::string what_;
  const std::chrono::milliseconds interval_;
  const std::function<absl::Status()> call_;
  const base::Logger log_;
  base::Mutex mutex_;
  base::CondVar stop_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

std::size_t MaxExemplars(const config::StorageConfig& storage) {
  return static_cast<std::size_t>(
      std::max<std::int64_t>(0, storage.max_exemplars.value_or(100'000)));
}

}  // namespace

struct IngesterApp::Running {
  explicit Running(metrics::Registry& registry) : metrics(registry) {}

  Metrics metrics;
  std::unique_ptr<tsdb::Db> db;
  std::unique_ptr<Periodic> maintenance;
  std::unique_ptr<Periodic> moving;
  std::unique_ptr<Periodic> syncing;
  std::unique_ptr<IngesterService> service;
  std::unique_ptr<rpc::Server> server;
  std::unique_ptr<rpc::LocalServer> local;
};

IngesterApp::IngesterApp() = default;
IngesterApp::~IngesterApp() = default;

void IngesterApp::AddFlags(service::FlagSet& flags) {
  options_.AddTo(flags);
  auto_reload_.AddFlags(flags);
}

int IngesterApp::grpc_port() const { return running_->server->port(); }

bool IngesterApp::WritesXor2(const config::StorageConfig& storage) const {
  return storage.float_chunk_encoding == "xor2" ||
         (storage.float_chunk_encoding.empty() &&
          options_.features.Has(kXor2Encoding));
}

absl::StatusOr<config::StorageConfig> IngesterApp::LoadStorageConfig() const {
  if (options_.config_file.empty()) return config::StorageConfig();
  NARTHEX_ASSIGN_OR_RETURN(const config::Config config,
                           config::Load(options_.config_file));
  if (config.storage.float_chunk_encoding == "xor" &&
      options_.features.Has(kStartTimeStorage)) {
    return absl::InvalidArgumentError(absl::StrCat(
        options_.config_file,
        ": storage.tsdb.chunk_encoding.floats is xor, which cannot hold the "
        "start timestamps that --enable-feature=st-storage keeps: use xor2"));
  }
  return config.storage;
}

absl::Status IngesterApp::Reload() {
  NARTHEX_ASSIGN_OR_RETURN(const config::StorageConfig storage,
                           LoadStorageConfig());
  if (exemplars_) running_->db->ResizeExemplars(MaxExemplars(storage));
  running_->db->SetStaleThreshold(storage.stale_series_compaction_threshold);
  running_->db->SetXor2Blocks(WritesXor2(storage));
  NARTHEX_RETURN_IF_ERROR(
      running_->db->SetOutOfOrderWindow(storage.out_of_order_time_window_ms));
  return running_->db->SetRetention(options_.RetentionOf(storage));
}

absl::Status IngesterApp::Start(service::Process& process) {
  options_.features.Log(process.log());
  NARTHEX_ASSIGN_OR_RETURN(const config::StorageConfig storage,
                           LoadStorageConfig());
  NARTHEX_ASSIGN_OR_RETURN(tsdb::DbOptions db_options, options_.ForDb(storage));
  db_options.memory_snapshot =
      options_.features.Has("memory-snapshot-on-shutdown");
  db_options.start_times = options_.features.Has(kStartTimeStorage);
  db_options.histogram_start_times =
      db_options.start_times && options_.features.Has(kHistogramStEncoding);
  db_options.xor2_blocks = WritesXor2(storage);
  exemplars_ = options_.features.Has("exemplar-storage");
  if (exemplars_) db_options.max_exemplars = MaxExemplars(storage);
  running_ = std::make_unique<Running>(process.registry());
  Running& r = *running_;
  process.OnStop("database", [&r, log = process.log()] {
    if (r.db == nullptr) return;
    const absl::Status status = r.db->Close();
    if (!status.ok()) {
      log.Error("closing the database", {{"err", status.ToString()}});
    }
  });
  process.OnStop("maintenance", [&r] {
    if (r.db != nullptr) r.db->Interrupt();
    r.syncing.reset();
    r.moving.reset();
    r.maintenance.reset();
  });
  r.service = std::make_unique<IngesterService>(
      options_.path + "/snapshots", process.clock(), process.log(), r.metrics);
  NARTHEX_ASSIGN_OR_RETURN(
      r.server, rpc::Server::Start(options_.grpc_address, {r.service.get()}));
  r.server->SetServing(false);
  process.OnStop("grpc", [&r] {
    r.service->EndPushStreams();
    if (r.local != nullptr) r.local->Stop(kStopGrace);
    r.server->Stop(kStopGrace);
  });
  auto local = rpc::LocalServer::Start(options_.grpc_address, r.server->port(),
                                       r.service->LocalHandlers());
  if (local.ok()) {
    r.local = *std::move(local);
  } else {
    process.log().Warn("queries of this machine go by gRPC",
                       {{"err", local.status().message()}});
  }
  db_options.replay.stopping = [&process] { return process.stopping(); };
  db_options.replay.progress = [&r](const tsdb::ReplayProgress& progress) {
    r.service->SetReplayProgress(progress);
  };
  NARTHEX_ASSIGN_OR_RETURN(
      r.db, tsdb::Db::Open(options_.path, db_options, process.log(),
                           process.clock(), process.registry()));
  // What the replay needed beside the head goes back to the system.
  malloc_trim(0);
  r.maintenance = std::make_unique<Periodic>(
      "maintenance of the database",
      std::chrono::milliseconds(options_.block_reload_ms),
      [&r] { return r.db->Maintain(); }, process.log());
  // What fails here is done, or told, by the next maintenance.
  r.moving = std::make_unique<Periodic>(
      "moving chunks", kMoveChunksEvery,
      [&r] {
        r.db->MoveFullChunks().IgnoreError();
        r.db->MakeRoomIfRefused().IgnoreError();
        return absl::OkStatus();
      },
      process.log());
  if (db_options.wal.sync == tsdb::WalSync::kInterval) {
    r.syncing = std::make_unique<Periodic>(
        "forcing the write-ahead log to disk", kSyncEvery,
        [&r] { return r.db->ForceLogToDisk(); }, process.log());
  }
  r.service->Serve(*r.db);
  r.server->SetServing(true);
  if (!options_.config_file.empty()) {
    process.OnReload("storage", [this] { return Reload(); });
    auto_reload_.Start(process, options_.features, [this] {
      return std::vector<std::string>{options_.config_file};
    });
    process.ConfigLoaded();
  }
  return absl::OkStatus();
}

}  // namespace narthex::ingester
