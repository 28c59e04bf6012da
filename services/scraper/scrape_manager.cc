#include "services/scraper/scrape_manager.h"

#include <memory>
#include <utility>
#include <vector>

#include "libs/http/client_config.h"

namespace narthex::scraper {
ScrapeManager::ScrapeManager(Shard shard, Scheduler& scheduler,
                             LoopContext& context,
                             discovery::Metrics& discovery_metrics)
    : shard_(shard),
      scheduler_(scheduler),
      context_(context),
      discovery_({}, context.log, discovery_metrics,
                 [this](const auto& jobs) { Sync(jobs); }) {}

ScrapeManager::~ScrapeManager() { discovery_.Stop(); }

absl::Status ScrapeManager::Apply(const config::Config& config) {
  std::map<std::string, std::shared_ptr<const ScrapeSettings>> wanted;
  std::map<std::string, discovery::Configs> jobs;
  for (config::ScrapeConfig& scrape : config.AllScrapeConfigs()) {
    auto settings = std::make_shared<ScrapeSettings>();
    settings->client = std::make_shared<http::ClientConfig>(scrape.http);
    settings->accept = exposition::AcceptHeader(
        scrape.scrape_protocols, scrape.metric_name_escaping_scheme);
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
      } else {
        pool = std::make_shared<ScrapePool>(std::move(settings), shard_,
                                            scheduler_, context_);
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
