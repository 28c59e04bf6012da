#include "services/querier/loaded_config.h"

#include <utility>

#include "libs/base/status.h"
#include "libs/config/config.h"

namespace narthex::querier {

LoadedConfig::LoadedConfig(std::string path, base::Clock& clock,
                           base::Logger log)
    : path_(std::move(path)), clock_(clock), log_(std::move(log)) {}

absl::Status LoadedConfig::Load() {
  auto config = config::Load(path_);
  if (!config.ok()) {
    base::MutexLock lock(mutex_);
    ok_ = false;
    return config.status();
  }
  for (const config::RemoteReadConfig& remote : config->remote_read) {
    log_.Warn("remote_read has no effect", {{"url", remote.url}});
  }
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->yaml = config->Print();
  snapshot->external_labels = config->global.external_labels;
  snapshot->evaluation_interval_ms = config->global.evaluation_interval_ms;
  snapshot->query_log_file = config->global.query_log_file;
  snapshot->scrape_configs = config->AllScrapeConfigs();
  snapshot->files = config->Files(path_);
  snapshot->loaded_ms = clock_.NowMs();
  base::MutexLock lock(mutex_);
  ok_ = true;
  snapshot_ = std::move(snapshot);
  return absl::OkStatus();
}

std::shared_ptr<const LoadedConfig::Snapshot> LoadedConfig::snapshot() const {
  base::ReaderMutexLock lock(mutex_);
  return snapshot_;
}

bool LoadedConfig::ok() const {
  base::ReaderMutexLock lock(mutex_);
  return ok_;
}

}  // namespace narthex::querier
