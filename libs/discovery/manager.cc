#include "libs/discovery/manager.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "libs/base/clock.h"
#include "libs/http/client.h"

namespace narthex::discovery {
namespace {

using SteadyClock = std::chrono::steady_clock;

// How long a provider may take to find what the one before it had found.
constexpr std::chrono::seconds kInherit{10};

// Adds those that are not there in the same words.
void AddMissing(const TargetGroups& groups, TargetGroups* all) {
  std::multimap<absl::string_view, std::shared_ptr<const TargetGroup>> known;
  for (const auto& group : *all) known.emplace(group->source, group);
  for (const auto& group : groups) {
    const auto [begin, end] = known.equal_range(group->source);
    const bool found = std::any_of(
        begin, end, [&](const auto& one) { return *one.second == *group; });
    if (!found) all->push_back(group);
  }
}

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
  running_.emplace(next_id_++, Running{config, {job}, {}, std::move(provider)});
  return started;
}

void Manager::ApplyConfig(const std::map<std::string, Configs>& jobs) {
  base::MutexLock apply(apply_mutex_);
  std::vector<std::unique_ptr<Provider>> ended;
  Started started;
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
        for (const auto& [source, group] : running.groups) {
          left[job].push_back(group);
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
    Inherit(std::move(left), started);
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

void Manager::Inherit(std::map<std::string, TargetGroups> left,
                      const Started& started) {
  std::map<std::string, Inherited> before = std::exchange(inherited_, {});
  for (const auto& [job, unused] : static_) {
    Inherited inherited = std::move(before[job]);
    for (auto& group : left[job]) inherited.groups.push_back(std::move(group));
    std::erase_if(inherited.awaited, [&](std::uint64_t id) {
      const auto it = running_.find(id);
      return it == running_.end() || !it->second.jobs.contains(job);
    });
    for (const auto& [id, provider] : started) {
      if (!running_.at(id).jobs.contains(job)) continue;
      inherited.awaited.insert(id);
      inherited_until_ = SteadyClock::now() + kInherit;
    }
    if (inherited.groups.empty() || inherited.awaited.empty()) continue;
    inherited_[job] = std::move(inherited);
  }
}

void Manager::Receive(std::uint64_t id, std::vector<TargetGroup> groups) {
  metrics_.received_updates.Inc();
  base::MutexLock lock(mutex_);
  const auto it = running_.find(id);
  if (it == running_.end()) return;
  for (const std::string& job : it->second.jobs) {
    const auto inherited = inherited_.find(job);
    if (inherited == inherited_.end()) continue;
    inherited->second.awaited.erase(id);
    if (!inherited->second.awaited.empty()) continue;
    inherited_.erase(inherited);
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

std::map<std::string, TargetGroups> Manager::Snapshot() const {
  std::map<std::string, TargetGroups> jobs = static_;
  for (const auto& [id, running] : running_) {
    for (const std::string& job : running.jobs) {
      for (const auto& [source, group] : running.groups) {
        jobs[job].push_back(group);
      }
    }
  }
  for (const auto& [job, inherited] : inherited_) {
    AddMissing(inherited.groups, &jobs[job]);
  }
  return jobs;
}

void Manager::DropInherited() {
  inherited_until_.reset();
  if (!inherited_.empty()) dirty_ = true;
  inherited_.clear();
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
