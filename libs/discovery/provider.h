#pragma once

#include <functional>
#include <string>
#include <vector>

#include "libs/base/log.h"
#include "libs/discovery/metrics.h"
#include "libs/discovery/target_group.h"

namespace narthex::http {
class Client;
}

namespace narthex::discovery {

/// Finds targets by one mechanism until stopped.
class Provider {
 public:
  /// Each group replaces the one with the same source; a group without
  /// targets removes it. May run on any thread, never after Stop().
  using Update = std::function<void(std::vector<TargetGroup>)>;

  virtual ~Provider() = default;
  /// Begins; called once. What can be read without the network is handed over
  /// before this returns; it never waits for the network.
  virtual void Start(Update update) = 0;
  /// Ends what is under way. May be called twice; the destructor stops too.
  virtual void Stop() = 0;
};

/// What the providers of one manager share. All of it outlives them.
struct ProviderContext {
  http::Client& client;
  base::Logger logger;
  Metrics& metrics;
  /// The job that asked first: the label `config` of metrics and logs.
  std::string job;
};

}  // namespace narthex::discovery
