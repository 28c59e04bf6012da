#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/discovery/config.h"
#include "libs/discovery/metrics.h"
#include "libs/discovery/provider.h"
#include "libs/discovery/provider_config.h"
#include "libs/discovery/target_group.h"

namespace narthex::discovery {

using TargetGroups = std::vector<std::shared_ptr<const TargetGroup>>;

/// Runs the discovery of many jobs and hands on what they found, as Prometheus
/// does: groups of one job are merged over its providers, jobs with the same
/// provider config share one instance, providers that a new configuration
/// does not change go on running, and what replaces others begins with what
/// those had found. Thread-safe.
class Manager {
 public:
  /// All jobs with their current groups; those without targets too. Runs on
  /// the manager's own thread, one call at a time.
  using Callback = std::function<void(std::map<std::string, TargetGroups>)>;

  struct Options {
    /// Least time between two calls that new targets cause. A new
    /// configuration is handed on at once.
    std::int64_t update_interval_ms = 5000;
    /// How its HTTP requests introduce themselves.
    std::string user_agent = "Prometheus/3.14.0 Narthex";
  };

  Manager(Options options, base::Logger logger, Metrics& metrics,
          Callback callback);
  /// Stops.
  ~Manager();

  /// Replaces the jobs. Providers have read what they can read without the
  /// network when this returns.
  void ApplyConfig(const std::map<std::string, Configs>& jobs);
  /// No callback runs after this.
  void Stop();

 private:
  struct Running {
    ProviderConfig config;
    std::set<std::string> jobs;
    std::map<std::string, std::shared_ptr<const TargetGroup>> groups;
    std::unique_ptr<Provider> provider;
  };
  using Started = std::vector<std::pair<std::uint64_t, Provider*>>;
  /// What providers that are gone have found for a job: it stays until all
  /// those that replace them have found something, or for ten seconds.
  struct Inherited {
    TargetGroups groups;
    std::set<std::uint64_t> awaited;
  };

  void Receive(std::uint64_t id, std::vector<TargetGroup> groups);
  void Run();
  /// Waits until there is something to hand on.
  void AwaitChange() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// `left` is what jobs have lost by a new configuration.
  void Inherit(std::map<std::string, TargetGroups> left, const Started& started)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropInherited() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::map<std::string, TargetGroups> Snapshot() const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  /// The entry of a provider that is to be started, null when it runs.
  Provider* Join(const ProviderConfig& config, const std::string& job)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Running* FindRunning(const ProviderConfig& config)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  const base::Logger logger_;
  Metrics& metrics_;
  const Callback callback_;
  const std::unique_ptr<http::Client> client_;

  base::Mutex apply_mutex_;  // One ApplyConfig() or Stop() at a time.
  mutable base::Mutex mutex_;
  base::CondVar changed_;
  std::map<std::uint64_t, Running> running_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, TargetGroups> static_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 0;
  bool dirty_ ABSL_GUARDED_BY(mutex_) = false;
  bool urgent_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, Inherited> inherited_ ABSL_GUARDED_BY(mutex_);
  std::optional<std::chrono::steady_clock::time_point> inherited_until_
      ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace narthex::discovery
