#include "libs/rules/notifier.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/mutex.h"
#include "libs/http/server.h"
#include "libs/rules/alert_json.h"

namespace narthex::rules {
namespace {

// Keeps what is posted to it.
class FakeAlertmanager {
 public:
  FakeAlertmanager() {
    router_.Post("/am/api/v2/alerts",
                 [this](const http::Request& request, http::Response& out) {
                   base::MutexLock lock(mutex_);
                   bodies_.push_back(request.body);
                   out.SetStatus(status_);
                 });
    auto server = http::Server::Start({}, router_, base::Logger::Discard());
    REQUIRE(server.ok());
    server_ = *std::move(server);
  }

  std::string address() const {
    return absl::StrCat("127.0.0.1:", server_->port());
  }
  void set_status(int status) {
    base::MutexLock lock(mutex_);
    status_ = status;
  }
  std::vector<std::string> bodies() {
    base::MutexLock lock(mutex_);
    return bodies_;
  }

 private:
  http::Router router_;
  base::Mutex mutex_;
  int status_ ABSL_GUARDED_BY(mutex_) = 200;
  std::vector<std::string> bodies_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<http::Server> server_;
};

template <typename Done>
bool Eventually(const Done& done) {
  const auto limit =
      std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!done()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    std::this_thread::yield();
  }
  return true;
}

class Bench {
 public:
  explicit Bench(NotifierOptions options = {})
      : notifier(options, client, base::Clock::System(),
                 base::Logger::Discard(), registry) {
    config.sets.resize(1);
    config.sets[0].path_prefix = "/am";
    config.external_labels = {{"cluster", "c"}, {"job", "outer"}};
  }

  bool Exposes(const std::string& text) {
    return absl::StrContains(registry.Expose(), text);
  }

  http::Client client;
  metrics::Registry registry;
  Notifier notifier;
  NotifierConfig config;
};

OutgoingAlert Alert(const std::string& name) {
  OutgoingAlert alert;
  alert.labels = {{"alertname", name}, {"job", "own"}};
  alert.annotations = {{"text", "a \"b\"\n"}};
  alert.starts_at_ms = 1'700'000'000'000;
  alert.ends_at_ms = 1'700'000'060'500;
  alert.generator_url = "http://p/graph";
  return alert;
}

relabel::Rule Drop(const std::string& label, const std::string& regex) {
  relabel::Config config;
  config.source_labels = {label};
  config.regex = regex;
  config.action = "drop";
  auto rule = relabel::Rule::Create(config, relabel::NameValidation::kUtf8);
  REQUIRE(rule.ok());
  return *rule;
}

TEST_CASE("an alert is written as the Alertmanager's API takes it") {
  CHECK(AlertJson(Alert("A")) ==
        "{\"annotations\":{\"text\":\"a \\\"b\\\"\\u000a\"},"
        "\"endsAt\":\"2023-11-14T22:14:20.5Z\","
        "\"startsAt\":\"2023-11-14T22:13:20Z\","
        "\"generatorURL\":\"http://p/graph\","
        "\"labels\":{\"alertname\":\"A\",\"job\":\"own\"}}");
}

TEST_CASE("every Alertmanager gets every alert, with external labels") {
  FakeAlertmanager one;
  FakeAlertmanager two;
  Bench bench;
  bench.notifier.ApplyConfig(bench.config);
  bench.notifier.SetTargets(
      0, {{{"__address__", one.address()}}, {{"__address__", two.address()}}});
  CHECK(bench.notifier.active_urls().size() == 2);
  bench.notifier.Send({Alert("A")});
  bench.notifier.Stop(10'000);
  REQUIRE(one.bodies().size() == 1);
  CHECK(one.bodies() == two.bodies());
  CHECK(absl::StrContains(
      one.bodies()[0],
      "\"labels\":{\"alertname\":\"A\",\"cluster\":\"c\",\"job\":\"own\"}"));
}

TEST_CASE("relabelling drops alerts and Alertmanagers") {
  FakeAlertmanager alertmanager;
  Bench bench;
  bench.config.alert_relabel_rules = {Drop("alertname", "Silent")};
  bench.config.sets[0].alert_relabel_rules = {Drop("alertname", "Local")};
  bench.config.sets[0].relabel_rules = {Drop("__address__", "gone.*")};
  bench.notifier.ApplyConfig(bench.config);
  bench.notifier.SetTargets(0, {{{"__address__", alertmanager.address()}},
                                {{"__address__", "gone"}}});
  CHECK(bench.notifier.dropped_urls() ==
        std::vector<std::string>{"http://gone:80/am/api/v2/alerts"});
  bench.notifier.Send({Alert("Silent"), Alert("Local"), Alert("Loud")});
  bench.notifier.Stop(10'000);
  REQUIRE(alertmanager.bodies().size() == 1);
  CHECK_FALSE(absl::StrContains(alertmanager.bodies()[0], "Silent"));
  CHECK_FALSE(absl::StrContains(alertmanager.bodies()[0], "Local"));
  CHECK(absl::StrContains(alertmanager.bodies()[0], "Loud"));
}

TEST_CASE("alerts travel in batches and the oldest give way") {
  FakeAlertmanager alertmanager;
  Bench bench({/*queue_capacity=*/5, /*batch_size=*/2, true});
  bench.notifier.ApplyConfig(bench.config);
  bench.notifier.SetTargets(0, {{{"__address__", alertmanager.address()}}});
  std::vector<OutgoingAlert> alerts;
  for (int i = 0; i < 8; ++i) alerts.push_back(Alert(absl::StrCat("A", i)));
  bench.notifier.Send(alerts);
  bench.notifier.Stop(10'000);
  const auto bodies = alertmanager.bodies();
  REQUIRE(bodies.size() == 3);
  CHECK(absl::StrContains(bodies[0], "\"A3\""));
  CHECK(absl::StrContains(bodies[2], "\"A7\""));
  CHECK(bench.Exposes(absl::StrCat(
      "prometheus_notifications_dropped_total{alertmanager=\"", "http://",
      alertmanager.address(), "/am/api/v2/alerts\"} 3\n")));
}

TEST_CASE("a refused batch is counted and the next is sent") {
  FakeAlertmanager alertmanager;
  alertmanager.set_status(500);
  Bench bench;
  bench.notifier.ApplyConfig(bench.config);
  bench.notifier.SetTargets(0, {{{"__address__", alertmanager.address()}}});
  bench.notifier.Send({Alert("A")});
  const std::string errors = absl::StrCat(
      "prometheus_notifications_errors_total{alertmanager=\"http://",
      alertmanager.address(), "/am/api/v2/alerts\"} 1\n");
  REQUIRE(Eventually([&] { return bench.Exposes(errors); }));
  alertmanager.set_status(200);
  bench.notifier.Send({Alert("B")});
  REQUIRE(Eventually([&] { return alertmanager.bodies().size() == 2; }));
}

TEST_CASE("an Alertmanager that is gone takes its metrics along") {
  FakeAlertmanager alertmanager;
  Bench bench;
  bench.notifier.ApplyConfig(bench.config);
  bench.notifier.SetTargets(0, {{{"__address__", alertmanager.address()}}});
  CHECK(bench.Exposes(alertmanager.address()));
  CHECK(bench.Exposes("prometheus_notifications_alertmanagers_discovered 1\n"));
  bench.notifier.SetTargets(0, {});
  CHECK_FALSE(bench.Exposes(alertmanager.address()));
  CHECK(bench.notifier.active_urls().empty());
}

}  // namespace
}  // namespace narthex::rules
