#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/config/config.h"
#include "libs/discovery/manager.h"
#include "libs/discovery/metrics.h"
#include "libs/http/client.h"
#include "libs/rules/notifier.h"

namespace narthex::ruler {

/// Finds the Alertmanagers of the `alerting` section and sends alerts to
/// them. Thread-safe.
class Alerting {
 public:
  Alerting(rules::NotifierOptions options, base::Clock& clock,
           const base::Logger& log, metrics::Registry& registry);

  /// What a configuration asks for; checked without taking effect, so that
  /// nothing changes when another part of the configuration is refused.
  static absl::StatusOr<rules::NotifierConfig> Check(
      const config::Config& config);
  /// `checked` is the outcome of Check() on the same configuration.
  void Apply(const config::Config& config, rules::NotifierConfig checked);

  rules::Notifier& notifier() { return notifier_; }
  const rules::Notifier& notifier() const { return notifier_; }

  /// Sends what waits, for at most `grace_ms`.
  void Stop(std::int64_t grace_ms);

 private:
  void Receive(const std::map<std::string, discovery::TargetGroups>& jobs);

  http::Client client_;
  discovery::Metrics discovery_metrics_;
  rules::Notifier notifier_;
  discovery::Manager discovery_;
};

}  // namespace narthex::ruler
