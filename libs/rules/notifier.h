#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/clock.h"
#include "libs/base/log.h"
#include "libs/http/client.h"
#include "libs/metrics/metrics.h"
#include "libs/model/labels.h"
#include "libs/relabel/relabel.h"
#include "libs/rules/seams.h"

namespace narthex::rules {

struct NotifierOptions {
  /// Alerts that may wait for one Alertmanager; the oldest give way.
  std::size_t queue_capacity = 10000;
  /// Alerts in one request, at most.
  std::size_t batch_size = 256;
  /// Whether Stop() sends what still waits.
  bool drain_on_stop = true;
};

/// A set of Alertmanagers that are reached in one way: an entry of
/// `alerting.alertmanagers`.
struct AlertmanagerSet {
  std::string scheme = "http";
  std::string path_prefix = "/";
  std::int64_t timeout_ms = 10 * 1000;
  std::shared_ptr<const http::ClientConfig> http;
  /// Applied to the labels of each Alertmanager found.
  std::vector<relabel::Rule> relabel_rules;
  /// Applied to the alerts that go to this set.
  std::vector<relabel::Rule> alert_relabel_rules;
};

struct NotifierConfig {
  /// Given to alerts that lack them.
  model::Labels external_labels;
  std::vector<relabel::Rule> alert_relabel_rules;
  std::vector<AlertmanagerSet> sets;
};

/// Sends alerts to all Alertmanagers. Each has its own queue and thread, so a
/// slow one delays nobody. Thread-safe.
class Notifier {
 public:
  /// `client` must outlive the notifier.
  Notifier(NotifierOptions options, http::Client& client, base::Clock& clock,
           base::Logger log, metrics::Registry& registry);
  ~Notifier();

  /// Takes effect at once; sets keep their Alertmanagers by position until
  /// SetTargets() names others.
  void ApplyConfig(NotifierConfig config);

  /// The Alertmanagers of set number `set`, as target labels: `__address__`
  /// at least. Queues of those that stay are kept.
  void SetTargets(std::size_t set, std::vector<model::Labels> targets);

  /// Queues alerts for every Alertmanager and returns.
  void Send(std::vector<OutgoingAlert> alerts);

  /// URLs that alerts are posted to / that relabelling dropped, sorted.
  std::vector<std::string> active_urls() const;
  std::vector<std::string> dropped_urls() const;

  /// Sends what waits, if so configured, for at most `grace_ms`, and stops.
  void Stop(std::int64_t grace_ms);

 private:
  class Rep;
  std::unique_ptr<Rep> rep_;
};

}  // namespace narthex::rules
