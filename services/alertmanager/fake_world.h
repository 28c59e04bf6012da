#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/clock.h"
#include "libs/base/file.h"
#include "libs/http/router.h"
#include "services/alertmanager/alertmanager.h"
#include "services/alertmanager/api.h"

namespace narthex::alertmanager {

/// Receivers of webhooks that exist only in memory and on the fake clock.
class FakeReceivers : public HttpSender {
 public:
  struct Message {
    std::string host;
    std::int64_t at_ms = 0;
    std::string body;
  };
  /// How a host answers; all the others say 200 at once.
  struct Behaviour {
    /// 500 before this time.
    std::int64_t fail_before_ms = 0;
    /// Wait so long before answering requests that come before this time.
    std::int64_t delay_before_ms = 0;
    std::int64_t delay_ms = 0;
    /// Always this code, unless 0.
    int code = 0;
  };

  explicit FakeReceivers(EventLoop& loop) : loop_(loop) {}
  void Send(http::FetchRequest request, Done done) override;

  std::map<std::string, Behaviour> behaviour;
  /// What was taken with a 200, in order.
  std::vector<Message> taken;
  int attempts = 0;

 private:
  EventLoop& loop_;
};

/// An Alertmanager on a fake clock, its API and its receivers. The folder
/// may be shared by one world after the other, as by restarts.
class FakeWorld {
 public:
  FakeWorld(const std::string& config, base::FakeClock& clock,
            const std::string& directory,
            AlertmanagerOptions options = AlertmanagerOptions());

  /// Turns the clock to `at_ms`, in steps of `step_ms`, running what is due.
  void RunUntil(std::int64_t at_ms, std::int64_t step_ms = 10);

  /// Sends a request to the API.
  http::Response Request(const std::string& method, const std::string& target,
                         const std::string& body = "");

  Alertmanager& alertmanager() { return *alertmanager_; }
  FakeReceivers& receivers() { return *receivers_; }
  metrics::Registry& registry() { return registry_; }
  absl::Status Reload(const std::string& config);

 private:
  base::FakeClock& clock_;
  metrics::Registry registry_;
  FakeReceivers* receivers_ = nullptr;
  std::unique_ptr<Alertmanager> alertmanager_;
  std::unique_ptr<Api> api_;
  http::Router router_;
};

/// Milliseconds as the API writes them.
std::string TimeText(std::int64_t ms);

}  // namespace narthex::alertmanager
