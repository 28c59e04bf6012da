#include "services/scraper/scrape_pool.h"

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/hash.h"

namespace narthex::scraper {

absl::StatusOr<Shard> ParseShard(absl::string_view text) {
  const std::size_t slash = text.find('/');
  std::uint64_t index = 0;
  std::uint64_t count = 0;
  if (slash == absl::string_view::npos ||
      !absl::SimpleAtoi(text.substr(0, slash), &index) ||
      !absl::SimpleAtoi(text.substr(slash + 1), &count) || index >= count) {
    return absl::InvalidArgumentError(
        absl::StrCat("shard \"", text, "\" is not i/n with i from 0 to n-1"));
  }
  return Shard(index, count);
}

Shard::Shard(std::uint64_t index, std::uint64_t count)
    : index_(index), count_(count) {
  std::vector<std::string> names;
  for (std::uint64_t i = 0; i < count; ++i) names.push_back(absl::StrCat(i));
  owners_ = std::make_shared<const cluster::Owners>(names);
}

bool Shard::Owns(std::uint64_t hash) const {
  return count_ == 1 || owners_->OwnerOf(hash) == index_;
}

ScrapePool::ScrapePool(std::shared_ptr<const ScrapeSettings> settings,
                       Shard shard, Scheduler& scheduler, LoopContext& context)
    : shard_(shard),
      scheduler_(scheduler),
      context_(context),
      budget_(std::make_shared<SeriesBudget>()),
      settings_(std::move(settings)) {}

void ScrapePool::Update(std::shared_ptr<const ScrapeSettings> settings) {
  base::MutexLock lock(mutex_);
  settings_ = std::move(settings);
}

ScrapePool::Targets ScrapePool::MakeTargets(
    const discovery::TargetGroups& groups) {
  const config::ScrapeConfig& config = settings_->config;
  Targets targets;
  absl::flat_hash_set<std::uint64_t> of_all_shards;
  std::uint64_t dropped_by_all = 0;
  dropped_.clear();
  dropped_count_ = 0;
  for (const auto& group : groups) {
    for (const model::Labels& labels : group->targets) {
      auto made = MakeTarget(config, labels, group->labels);
      if (!made.ok()) {
        context_.metrics.sync_failed.With({config.job_name}).Inc();
        context_.log.Error("creating target failed",
                           {{"scrape_pool", config.job_name},
                            {"err", made.status().message()}});
        continue;
      }
      if (auto* dropped = std::get_if<Dropped>(&*made)) {
        const bool keep = config.keep_dropped_targets == 0 ||
                          dropped_by_all < config.keep_dropped_targets;
        ++dropped_by_all;
        // Each is told by one shard.
        if (!shard_.Owns(base::XxHash64(dropped->discovered.encoded()))) {
          continue;
        }
        ++dropped_count_;
        if (keep) {
          dropped_.push_back(std::move(dropped->discovered));
        }
        continue;
      }
      Target& target = std::get<Target>(*made);
      const std::uint64_t hash = target.hash;
      of_all_shards.insert(hash);
      if (shard_.Owns(hash)) targets.emplace(hash, std::move(target));
    }
  }
  target_count_ = of_all_shards.size();
  return targets;
}

void ScrapePool::Sync(const discovery::TargetGroups& groups) {
  base::MutexLock lock(mutex_);
  if (retired_) return;
  const std::int64_t start_ns = base::Clock::System().MonotonicNs();
  Targets targets = MakeTargets(groups);
  for (auto it = loops_.begin(); it != loops_.end();) {
    if (targets.contains(it->first)) {
      ++it;
    } else {
      it->second->Retire();
      it = loops_.erase(it);
    }
  }
  for (auto& [hash, target] : targets) {
    std::shared_ptr<ScrapeLoop>& loop = loops_[hash];
    if (loop != nullptr) {
      if (loop->Update(target, settings_)) scheduler_.Add(loop);
      continue;
    }
    loop = std::make_shared<ScrapeLoop>(std::move(target), settings_, budget_,
                                        context_);
    scheduler_.Add(loop);
  }
  const std::string& job = settings_->config.job_name;
  const config::ScrapeLimits& limits = settings_->config.limits;
  // Counters are there, as zero, before there is anything to count.
  if (limits.series > 0 || limits.pool_series > 0) {
    context_.metrics.exceeded_series_soft_limit.With({job});
  }
  context_.metrics.sync_failed.With({job});
  context_.metrics.pool_syncs.With({job}).Inc();
  context_.metrics.pool_targets.With({job}).Set(
      static_cast<double>(loops_.size()));
  context_.metrics.pool_target_limit.With({job}).Set(
      static_cast<double>(settings_->config.limits.targets));
  EnforceTargetLimit();
  context_.metrics.SyncLength(job).Observe(
      static_cast<double>(base::Clock::System().MonotonicNs() - start_ns) /
      1e9);
}

void ScrapePool::EnforceTargetLimit() {
  const std::uint64_t limit = settings_->config.limits.targets;
  absl::Status error;
  if (limit > 0 && target_count_ > limit) {
    context_.metrics.exceeded_target_limit.Inc();
    error = absl::FailedPreconditionError(absl::StrCat(
        "target_limit exceeded (number of targets: ", target_count_,
        ", limit: ", limit, ")"));
  }
  for (auto& [hash, loop] : loops_) loop->SetForcedError(error);
}

void ScrapePool::Retire() {
  base::MutexLock lock(mutex_);
  retired_ = true;
  for (auto& [hash, loop] : loops_) loop->Retire();
  loops_.clear();
  const std::string& job = settings_->config.job_name;
  context_.metrics.pool_targets.Remove({job});
  context_.metrics.pool_target_limit.Remove({job});
}

std::vector<std::shared_ptr<ScrapeLoop>> ScrapePool::loops() const {
  base::ReaderMutexLock lock(mutex_);
  std::vector<std::shared_ptr<ScrapeLoop>> loops;
  for (const auto& [hash, loop] : loops_) loops.push_back(loop);
  return loops;
}

std::vector<model::Labels> ScrapePool::dropped() const {
  base::ReaderMutexLock lock(mutex_);
  return dropped_;
}

std::uint64_t ScrapePool::dropped_count() const {
  base::ReaderMutexLock lock(mutex_);
  return dropped_count_;
}

}  // namespace narthex::scraper
