#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libs/discovery/consul.h"
#include "libs/discovery/thread_provider.h"
#include "libs/http/client.h"

namespace narthex::discovery {

/// Watches the catalogue for the names of services, and each service for its
/// instances, by queries that the agent answers when something is new. With
/// services named in the configuration and no tags or filter to check, only
/// those are watched. A group for each service, its name the source; what
/// cannot be asked keeps its targets.
class ConsulProvider : public ThreadProvider {
 public:
  struct Options {
    /// After a failure.
    std::int64_t retry_interval_ms = 15 * 1000;
    /// How long the agent may wait for something new.
    std::int64_t watch_timeout_ms = 2 * 60 * 1000;
  };

  ConsulProvider(Options options, ConsulConfig config,
                 const ProviderContext& context);
  ~ConsulProvider() override;

 private:
  /// A question that is asked again and again.
  struct Watch {
    std::string service;  // Empty: the catalogue.
    std::uint64_t index = 0;
    bool answered = false;
    bool removed = false;
    std::int64_t started_ns = 0;
    std::int64_t due_ns = 0;
    bool running = false;
    http::Client::FetchId id = 0;
    std::string body;
    http::FetchResult result;
  };
  using WatchPointer = std::shared_ptr<Watch>;

  void Run() override;
  void RunWatches() ABSL_LOCKS_EXCLUDED(mutex_);
  /// Asks the agent for the datacenter unless the configuration tells; false
  /// when stopped.
  bool LearnDatacenter() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<std::string> AskDatacenter();
  http::FetchRequest Request(const std::string& path) const;
  http::FetchRequest WatchRequest(const Watch& watch) const;

  void Add(const std::string& service);
  void StartDue() ABSL_LOCKS_EXCLUDED(mutex_);
  void Begin(const WatchPointer& watch) ABSL_LOCKS_EXCLUDED(mutex_);
  /// What has been answered since; waits until something is, or is due. Empty
  /// and `*stopped` when stopping.
  std::vector<WatchPointer> Wait(bool* stopped) ABSL_LOCKS_EXCLUDED(mutex_);
  void Finish(Watch& watch);
  absl::Status TakeAnswer(Watch& watch);
  absl::Status TakeCatalog(const std::string& body);
  absl::Status TakeService(const Watch& watch);
  bool IsWanted(const std::string& service,
                const std::vector<std::string>& tags) const;

  const Options options_;
  const ConsulConfig config_;
  const base::Logger logger_;
  metrics::Counter& failures_;
  metrics::Summary& catalog_duration_;
  metrics::Summary& service_duration_;
  http::Client& client_;
  const std::shared_ptr<const http::ClientConfig> client_config_;
  std::string base_url_;
  std::string unix_socket_;

  // Of the provider's thread alone.
  std::string datacenter_;
  WatchPointer catalog_;
  std::map<std::string, WatchPointer> services_;

  std::vector<WatchPointer> answered_ ABSL_GUARDED_BY(mutex_);
  int running_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace narthex::discovery
