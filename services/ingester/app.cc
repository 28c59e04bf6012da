#include "services/ingester/app.h"

#include <algorithm>
#include <thread>

#include "libs/base/mutex.h"
#include "libs/base/status.h"
#include "libs/config/config.h"
#include "libs/rpc/server.h"
#include "services/ingester/metrics.h"
#include "services/ingester/service.h"

namespace narthex::ingester {
namespace {

constexpr std::chrono::milliseconds kMoveChunksEvery{1'000};
constexpr int kMaintainEvery = 60;  // Times that.
constexpr std::chrono::milliseconds kStopGrace{5'000};

// Lets a database move full chunks out of memory every second and do all else
// that is due once a minute.
class Maintenance {
 public:
  Maintenance(tsdb::Db& db, base::Logger log)
      : db_(db), log_(std::move(log)), thread_([this] { Run(); }) {}

  ~Maintenance() {
    {
      base::MutexLock lock(mutex_);
      stopping_ = true;
      stop_.NotifyAll();
    }
    thread_.join();
  }

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mutex_) {
    for (int round = 1;; ++round) {
      {
        base::MutexLock lock(mutex_);
        if (!stopping_) stop_.WaitFor(mutex_, kMoveChunksEvery);
        if (stopping_) return;
      }
      if (round % kMaintainEvery != 0) {
        // Chunks that cannot be moved stay: the next maintenance tells why.
        db_.MoveFullChunks().IgnoreError();
        continue;
      }
      const absl::Status status = db_.Maintain();
      if (!status.ok()) {
        log_.Error("maintenance of the database", {{"err", status.ToString()}});
      }
    }
  }

  tsdb::Db& db_;
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
  std::unique_ptr<Maintenance> maintenance;
  std::unique_ptr<IngesterService> service;
  std::unique_ptr<rpc::Server> server;
};

IngesterApp::IngesterApp() = default;
IngesterApp::~IngesterApp() = default;

void IngesterApp::AddFlags(service::FlagSet& flags) { options_.AddTo(flags); }

int IngesterApp::grpc_port() const { return running_->server->port(); }

absl::StatusOr<config::StorageConfig> IngesterApp::LoadStorageConfig() const {
  if (options_.config_file.empty()) return config::StorageConfig();
  NARTHEX_ASSIGN_OR_RETURN(const config::Config config,
                           config::Load(options_.config_file));
  return config.storage;
}

absl::Status IngesterApp::Reload() {
  NARTHEX_ASSIGN_OR_RETURN(const config::StorageConfig storage,
                           LoadStorageConfig());
  if (exemplars_) {
    running_->db->ResizeExemplars(MaxExemplars(storage));
  }
  return running_->db->SetOutOfOrderWindow(storage.out_of_order_time_window_ms);
}

absl::Status IngesterApp::Start(service::Process& process) {
  NARTHEX_ASSIGN_OR_RETURN(const config::StorageConfig storage,
                           LoadStorageConfig());
  NARTHEX_ASSIGN_OR_RETURN(tsdb::DbOptions db_options, options_.ForDb());
  db_options.out_of_order_window_ms = storage.out_of_order_time_window_ms;
  NARTHEX_ASSIGN_OR_RETURN(exemplars_, options_.ExemplarsEnabled());
  if (exemplars_) db_options.max_exemplars = MaxExemplars(storage);
  running_ = std::make_unique<Running>(process.registry());
  NARTHEX_ASSIGN_OR_RETURN(
      running_->db, tsdb::Db::Open(options_.path, db_options, process.log(),
                                   process.clock(), process.registry()));
  process.OnStop("database", [this, log = process.log()] {
    const absl::Status status = running_->db->Close();
    if (!status.ok()) {
      log.Error("closing the database", {{"err", status.ToString()}});
    }
  });
  running_->maintenance =
      std::make_unique<Maintenance>(*running_->db, process.log());
  process.OnStop("maintenance", [this] { running_->maintenance.reset(); });
  running_->service = std::make_unique<IngesterService>(
      *running_->db, options_.path + "/snapshots", process.clock(),
      process.log(), running_->metrics);
  NARTHEX_ASSIGN_OR_RETURN(
      running_->server,
      rpc::Server::Start(options_.grpc_address, {running_->service.get()}));
  process.OnStop("grpc", [this] {
    running_->service->EndPushStreams();
    running_->server->Stop(kStopGrace);
  });
  if (!options_.config_file.empty()) {
    process.OnReload("storage", [this] { return Reload(); });
    process.ConfigLoaded();
  }
  return absl::OkStatus();
}

}  // namespace narthex::ingester
