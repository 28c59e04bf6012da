#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include "libs/base/log.h"
#include "services/alertmanager/dispatcher.h"
#include "services/alertmanager/event_loop.h"
#include "services/alertmanager/metrics.h"
#include "services/alertmanager/notifier.h"

namespace narthex::alertmanager {

/// Pauses from one attempt to the next: half a second, each half again as long
/// as the one before up to a minute, all of them up to half longer or shorter
/// by chance so that receivers are not hit by everybody at once.
class Backoff {
 public:
  explicit Backoff(std::uint32_t seed) : random_(seed) {}
  std::int64_t NextMs();

 private:
  std::minstd_rand random_;
  double base_ms_ = 500;
};

/// Brings one notification to one integration: attempt after attempt until
/// one succeeds, the error is final, or time is up. Lives as long as it has
/// something to wait for. All on the event loop.
class Delivery : public std::enable_shared_from_this<Delivery> {
 public:
  using Done = std::function<void(bool ok)>;

  /// `owner` keeps the integration alive.
  Delivery(std::shared_ptr<const void> owner, const Integration& integration,
           std::shared_ptr<const Notification> notification,
           std::shared_ptr<const Flush> flush, EventLoop& loop,
           Metrics& metrics, const base::Logger& log, std::uint32_t seed,
           Done done);

  void Start();

 private:
  void Attempt();
  void OnResult(NotifyResult result);
  void Fail(const NotifyResult& result);
  std::string Name() const;

  const std::shared_ptr<const void> owner_;
  const Integration& integration_;
  const std::shared_ptr<const Notification> notification_;
  const std::shared_ptr<const Flush> flush_;
  EventLoop& loop_;
  Metrics& metrics_;
  const base::Logger& log_;
  Backoff backoff_;
  Done done_;
  int attempts_ = 0;
  std::int64_t attempt_ms_ = 0;
  std::int64_t attempt_ns_ = 0;
};

}  // namespace narthex::alertmanager
