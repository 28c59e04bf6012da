#pragma once

#include <functional>
#include <vector>

#include "libs/discovery/target_group.h"

namespace narthex::discovery {

/// Finds targets by one mechanism until stopped.
class Provider {
 public:
  /// Each group replaces the one with the same source; a group without
  /// targets removes it. May run on any thread, never after Stop().
  using Update = std::function<void(std::vector<TargetGroup>)>;

  virtual ~Provider() = default;
  /// Begins; called once. What can be read at once is handed over before
  /// this returns.
  virtual void Start(Update update) = 0;
  virtual void Stop() = 0;
};

}  // namespace narthex::discovery
