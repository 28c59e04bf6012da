#include "services/scraper/scrape_manager.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "libs/base/status.h"
#include "libs/http/client_config.h"
#include "services/scraper/failure_log.h"

namespace narthex::scraper {
namespace {

// Native histograms come by protobuf only.
std::vector<exposition::Protocol> WithProtobuf(
    std::vector<exposition::Protocol> protocols) {
  const auto protobuf = exposition::Protocol::kPrometheusProto;
  if (std::find(protocols.begin(), protocols.end(), protobuf) ==
      protocols.end()) {
    protocols.insert(protocols.begin(), protobuf);
  }
  return protocols;
}

}  // namespace

ScrapeManager::ScrapeManager(Shard shard, Scheduler& scheduler,
                             LoopContext& context,
                             discovery::Manager::Options discovery,
                             discovery::Metrics& discovery_metrics)
    : shard_(shard),
      scheduler_(scheduler),
      context_(context),
      discovery_(discovery, context.log, discovery_metrics,
                 [this](const auto& jobs) { Sync(jobs); }) {}

ScrapeManager::~ScrapeManager() { discovery_.Stop(); }

absl::Status ScrapeManager::Apply(const config::Config& config) {
  std::map<std::string, std::shared_ptr<const ScrapeSettings>> wanted;
  std::map<std::string, discovery::Configs> jobs;
  // Opened anew by every reload, so that a file may be moved away.
  std::map<std::string, std::shared_ptr<FailureLog>> failure_logs;
  for (config::ScrapeConfig& scrape : config.AllScrapeConfigs()) {
    auto settings = std::make_shared<ScrapeSettings>();
    settings->client = std::make_shared<http::ClientConfig>(scrape.http);
    settings->accept = exposition::AcceptHeader(
        scrape.scrape_protocols, scrape.metric_name_escaping_scheme);
    settings->accept_native =
        exposition::AcceptHeader(WithProtobuf(scrape.scrape_protocols),
                                 scrape.metric_name_escaping_scheme);
    if (const std::string& path = scrape.scrape_failure_log_file;
        !path.empty()) {
      std::shared_ptr<FailureLog>& log = failure_logs[path];
      if (log == nullptr) {
        NARTHEX_ASSIGN_OR_RETURN(log, FailureLog::Open(path));
      }
      settings->failure_log = log;
    }
    settings->config = std::move(scrape);
    const std::string job = settings->config.job_name;
    jobs[job] = settings->config.discovery;
    wanted[job] = std::move(settings);
  }
  {
    base::MutexLock lock(mutex_);
    for (auto it = pools_.begin(); it != pools_.end();) {
      if (wanted.contains(it->first)) {
        ++it;
      } else {
        it->second->Retire();
        it = pools_.erase(it);
      }
    }
    for (auto& [job, settings] : wanted) {
      std::shared_ptr<ScrapePool>& pool = pools_[job];
      if (pool != nullptr) {
        pool->Update(std::move(settings));
        context_.metrics.pool_reloads.Inc();
      } else {
        pool = std::make_shared<ScrapePool>(std::move(settings), shard_,
                                            scheduler_, context_);
        context_.metrics.pools.Inc();
      }
    }
  }
  discovery_.ApplyConfig(jobs);
  return absl::OkStatus();
}

std::map<std::string, std::shared_ptr<ScrapePool>> ScrapeManager::pools()
    const {
  base::ReaderMutexLock lock(mutex_);
  return pools_;
}

void ScrapeManager::Sync(
    const std::map<std::string, discovery::TargetGroups>& jobs) {
  for (const auto& [job, pool] : pools()) {
    const auto found = jobs.find(job);
    if (found != jobs.end()) pool->Sync(found->second);
  }
}

}  // namespace narthex::scraper
