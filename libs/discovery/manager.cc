#include "libs/discovery/manager.h"

#include <pthread.h>

#include <chrono>

#include "libs/base/clock.h"
#include "libs/http/client.h"

namespace narthex::discovery {

Manager::Manager(Options options, base::Logger logger, Metrics& metrics,
                 Callback callback)
    : options_(std::move(options)),
      logger_(std::move(logger)),
      metrics_(metrics),
      callback_(std::move(callback)),
      client_(std::make_unique<http::Client>(
          http::ClientOptions{.user_agent = options_.user_agent})),
      thread_([this] { Run(); }) {}

Manager::~Manager() { Stop(); }

Manager::Running* Manager::FindRunning(const ProviderConfig& config) {
  for (auto& [id, running] : running_) {
    if (running.config == config) return &running;
  }
  return nullptr;
}

Provider* Manager::Join(const ProviderConfig& config, const std::string& job) {
  if (Running* running = FindRunning(config)) {
    running->jobs.insert(job);
    return nullptr;
  }
  std::unique_ptr<Provider> provider =
      config.Make({*client_, logger_, metrics_, job});
  Provider* const started = provider.get();
  running_.emplace(next_id_++, Running{config, {job}, {}, std::move(provider)});
  return started;
}

void Manager::ApplyConfig(const std::map<std::string, Configs>& jobs) {
  base::MutexLock apply(apply_mutex_);
  std::vector<std::unique_ptr<Provider>> ended;
  std::vector<std::pair<std::uint64_t, Provider*>> started;
  {
    base::MutexLock lock(mutex_);
    if (stopping_) return;
    for (auto& [id, running] : running_) running.jobs.clear();
    static_.clear();
    for (const auto& [job, configs] : jobs) {
      TargetGroups& groups = static_[job];
      for (const TargetGroup& group : configs.static_groups) {
        groups.push_back(std::make_shared<const TargetGroup>(group));
      }
      for (const auto& [kind, list] : configs.providers) {
        for (const ProviderConfig& config : list) {
          if (Provider* provider = Join(config, job)) {
            started.emplace_back(next_id_ - 1, provider);
          }
        }
      }
    }
    for (auto it = running_.begin(); it != running_.end();) {
      if (!it->second.jobs.empty()) {
        ++it;
        continue;
      }
      ended.push_back(std::move(it->second.provider));
      it = running_.erase(it);
    }
  }
  // Providers call back into Receive(), so none of this holds the lock.
  for (const auto& provider : ended) provider->Stop();
  for (const auto& [id, provider] : started) {
    provider->Start([this, id = id](std::vector<TargetGroup> groups) {
      Receive(id, std::move(groups));
    });
  }
  base::MutexLock lock(mutex_);
  dirty_ = true;
  urgent_ = true;
  changed_.NotifyAll();
}

void Manager::Receive(std::uint64_t id, std::vector<TargetGroup> groups) {
  metrics_.received_updates.Inc();
  base::MutexLock lock(mutex_);
  const auto it = running_.find(id);
  if (it == running_.end()) return;
  auto& known = it->second.groups;
  for (TargetGroup& group : groups) {
    const auto old = known.find(group.source);
    if (group.targets.empty()) {
      if (old == known.end()) continue;
      known.erase(old);
    } else if (old != known.end() && *old->second == group) {
      continue;
    } else {
      std::string source = group.source;
      known[std::move(source)] =
          std::make_shared<const TargetGroup>(std::move(group));
    }
    dirty_ = true;
  }
  if (dirty_) changed_.NotifyAll();
}

std::map<std::string, TargetGroups> Manager::Snapshot() const {
  std::map<std::string, TargetGroups> jobs = static_;
  for (const auto& [id, running] : running_) {
    for (const std::string& job : running.jobs) {
      for (const auto& [source, group] : running.groups) {
        jobs[job].push_back(group);
      }
    }
  }
  return jobs;
}

void Manager::Run() {
  pthread_setname_np(pthread_self(), "sd-manager");
  using SteadyClock = std::chrono::steady_clock;
  const std::chrono::milliseconds interval(options_.update_interval_ms);
  SteadyClock::time_point next{};
  for (;;) {
    std::map<std::string, TargetGroups> jobs;
    {
      base::MutexLock lock(mutex_);
      while (!stopping_ && !dirty_) changed_.Wait(mutex_);
      if (!urgent_ && SteadyClock::now() < next) {
        metrics_.delayed_updates.Inc();
      }
      while (!stopping_ && !urgent_ && SteadyClock::now() < next) {
        changed_.WaitFor(mutex_, std::chrono::ceil<std::chrono::milliseconds>(
                                     next - SteadyClock::now()));
      }
      if (stopping_) return;
      dirty_ = false;
      urgent_ = false;
      jobs = Snapshot();
    }
    for (const auto& [job, groups] : jobs) {
      std::size_t targets = 0;
      for (const auto& group : groups) targets += group->targets.size();
      metrics_.discovered_targets.With({metrics_.name, job})
          .Set(static_cast<double>(targets));
      metrics_.last_update.With({metrics_.name, job})
          .Set(static_cast<double>(base::Clock::System().NowMs()) / 1000);
    }
    next = SteadyClock::now() + interval;
    metrics_.sent_updates.Inc();
    callback_(std::move(jobs));
  }
}

void Manager::Stop() {
  base::MutexLock apply(apply_mutex_);
  std::map<std::uint64_t, Running> ended;
  {
    base::MutexLock lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
    ended.swap(running_);
    changed_.NotifyAll();
  }
  for (auto& [id, running] : ended) running.provider->Stop();
  thread_.join();
}

}  // namespace narthex::discovery
