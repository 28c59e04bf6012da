#include "libs/discovery/manager.h"

#include <pthread.h>

#include <utility>

#include "libs/base/clock.h"
#include "libs/http/client.h"

namespace narthex::discovery {
namespace {

using SteadyClock = std::chrono::steady_clock;

// How long a provider may take to find what the one before it had found.
constexpr std::chrono::seconds kInherit{10};

}  // namespace

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
  running_.emplace(next_id_++,
                   Running{config, {job}, {}, std::move(provider), {}});
  return started;
}

void Manager::ApplyConfig(const std::map<std::string, Configs>& jobs) {
  base::MutexLock apply(apply_mutex_);
  std::vector<std::unique_ptr<Provider>> ended;
  std::vector<std::pair<std::uint64_t, Provider*>> started;
  {
    base::MutexLock lock(mutex_);
    if (stopping_) return;
    std::map<std::uint64_t, std::set<std::string>> jobs_before;
    for (auto& [id, running] : running_) {
      jobs_before[id] = std::exchange(running.jobs, {});
    }
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
    std::map<std::string, TargetGroups> left;
    for (const auto& [id, before] : jobs_before) {
      const Running& running = running_.at(id);
      for (const std::string& job : before) {
        if (running.jobs.contains(job)) continue;
        for (auto& group : GroupsOf(running, job)) {
          left[job].push_back(std::move(group));
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
    for (const auto& [id, provider] : started) {
      Running& running = running_.at(id);
      for (const std::string& job : running.jobs) {
        if (auto found = left.extract(job)) {
          running.inherited.insert(std::move(found));
          inherited_until_ = SteadyClock::now() + kInherit;
        }
      }
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
  if (!it->second.inherited.empty()) {
    it->second.inherited.clear();
    dirty_ = true;
  }
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

TargetGroups Manager::GroupsOf(const Running& running, const std::string& job) {
  const auto inherited = running.inherited.find(job);
  if (inherited != running.inherited.end()) return inherited->second;
  TargetGroups groups;
  for (const auto& [source, group] : running.groups) groups.push_back(group);
  return groups;
}

std::map<std::string, TargetGroups> Manager::Snapshot() const {
  std::map<std::string, TargetGroups> jobs = static_;
  for (const auto& [id, running] : running_) {
    for (const std::string& job : running.jobs) {
      for (auto& group : GroupsOf(running, job)) {
        jobs[job].push_back(std::move(group));
      }
    }
  }
  return jobs;
}

void Manager::DropInherited() {
  inherited_until_.reset();
  for (auto& [id, running] : running_) {
    if (running.inherited.empty()) continue;
    running.inherited.clear();
    dirty_ = true;
  }
}

void Manager::AwaitChange() {
  while (!stopping_ && !dirty_) {
    if (!inherited_until_.has_value()) {
      changed_.Wait(mutex_);
    } else if (SteadyClock::now() < *inherited_until_) {
      changed_.WaitFor(mutex_, std::chrono::ceil<std::chrono::milliseconds>(
                                   *inherited_until_ - SteadyClock::now()));
    } else {
      DropInherited();
    }
  }
}

void Manager::Run() {
  pthread_setname_np(pthread_self(), "sd-manager");
  const std::chrono::milliseconds interval(options_.update_interval_ms);
  SteadyClock::time_point next{};
  for (;;) {
    std::map<std::string, TargetGroups> jobs;
    {
      base::MutexLock lock(mutex_);
      AwaitChange();
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
