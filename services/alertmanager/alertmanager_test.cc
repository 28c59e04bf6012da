#include "services/alertmanager/alertmanager.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/match.h"
#include "services/alertmanager/fake_world.h"

namespace narthex::alertmanager {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kStartMs = 1'700'000'000'000;

constexpr char kConfig[] = R"(
route:
  receiver: r
  group_by: [alertname]
  group_wait: 1s
  group_interval: 5s
  repeat_interval: 1h
receivers:
- name: r
  webhook_configs: [{url: 'http://hook/'}]
)";

/// Posts an alert; times in milliseconds after kStartMs, negative: not given.
void Post(FakeWorld& world, const Json& labels, std::int64_t ends = -1) {
  Json alert = {{"labels", labels}};
  if (ends >= 0) alert["endsAt"] = TimeText(kStartMs + ends);
  REQUIRE(world.Request("POST", "/api/v2/alerts", Json::array({alert}).dump())
              .status() == 200);
}

TEST_CASE("after a restart nobody is told again, of the end they are") {
  base::TemporaryDirectory directory;
  base::FakeClock clock(kStartMs);
  {
    FakeWorld world(kConfig, clock, directory.path());
    Post(world, {{"alertname", "x"}});
    world.RunUntil(kStartMs + 2000);
    CHECK(world.receivers().taken.size() == 1);
  }
  FakeWorld world(kConfig, clock, directory.path());
  Post(world, {{"alertname", "x"}});
  world.RunUntil(kStartMs + 20'000);
  CHECK(world.receivers().taken.empty());
  Post(world, {{"alertname", "x"}}, 19'000);
  world.RunUntil(kStartMs + 30'000);
  REQUIRE(world.receivers().taken.size() == 1);
  const Json body = Json::parse(world.receivers().taken[0].body);
  CHECK(body["status"] == "resolved");
  CHECK(body["notification_reason"] == "all alerts resolved");
}

TEST_CASE("an alert that ends before its group is sent is never told of") {
  base::TemporaryDirectory directory;
  base::FakeClock clock(kStartMs);
  FakeWorld world(kConfig, clock, directory.path());
  Post(world, {{"alertname", "x"}});
  world.RunUntil(kStartMs + 500);
  Post(world, {{"alertname", "x"}}, 400);
  world.RunUntil(kStartMs + 20'000);
  CHECK(world.receivers().attempts == 0);
}

TEST_CASE("an answer 4xx is final, the group's next beat tries again") {
  base::TemporaryDirectory directory;
  base::FakeClock clock(kStartMs);
  FakeWorld world(kConfig, clock, directory.path());
  world.receivers().behaviour["hook"].code = 404;
  Post(world, {{"alertname", "x"}});
  world.RunUntil(kStartMs + 5900);
  CHECK(world.receivers().attempts == 1);
  world.receivers().behaviour["hook"].code = 0;
  world.RunUntil(kStartMs + 6000);
  CHECK(world.receivers().taken.size() == 1);
  const std::string metrics = world.registry().Expose();
  CHECK(absl::StrContains(
      metrics,
      "alertmanager_notifications_failed_total{integration=\"webhook\","
      "reason=\"clientError\"} 1\n"));
  CHECK(absl::StrContains(
      metrics,
      "alertmanager_notifications_total{integration=\"webhook\"} 2\n"));
}

TEST_CASE("a receiver that is down is asked again until time is up") {
  base::TemporaryDirectory directory;
  base::FakeClock clock(kStartMs);
  FakeWorld world(kConfig, clock, directory.path());
  world.receivers().behaviour["hook"].code = 503;
  Post(world, {{"alertname", "x"}});
  // The flush of second 1 has ten seconds, those of 6 and 11 wait for it.
  world.RunUntil(kStartMs + 10'990);
  const int attempts = world.receivers().attempts;
  CHECK(attempts >= 4);
  CHECK(attempts <= 10);
  CHECK(absl::StrContains(
      world.registry().Expose(),
      "alertmanager_notifications_total{integration=\"webhook\"} 1\n"));
  world.receivers().behaviour["hook"].code = 0;
  world.RunUntil(kStartMs + 16'000);
  CHECK(world.receivers().taken.size() == 1);
}

TEST_CASE("empty groups go away") {
  base::TemporaryDirectory directory;
  base::FakeClock clock(kStartMs);
  FakeWorld world(kConfig, clock, directory.path());
  Post(world, {{"alertname", "x"}});
  Post(world, {{"alertname", "y"}});
  world.RunUntil(kStartMs + 2000);
  Post(world, {{"alertname", "x"}}, 2000);
  world.RunUntil(kStartMs + 61'000, /*step_ms=*/500);
  CHECK(world.alertmanager().generation()->dispatcher->group_count() == 1);
}

TEST_CASE("a bad configuration leaves the old one in force") {
  base::TemporaryDirectory directory;
  base::FakeClock clock(kStartMs);
  FakeWorld world(kConfig, clock, directory.path());
  CHECK_FALSE(world.Reload("route: {}").ok());
  Post(world, {{"alertname", "x"}});
  world.RunUntil(kStartMs + 2000);
  CHECK(world.receivers().taken.size() == 1);
}

TEST_CASE("a payload and an address can be templates") {
  base::TemporaryDirectory directory;
  base::FakeClock clock(kStartMs);
  const std::string config = R"(
route: {receiver: r, group_by: [alertname], group_wait: 1s, labels: {room: 'x-{{ .GroupLabels.alertname }}'}}
receivers:
- name: r
  webhook_configs:
  - url: 'http://{{ .CommonLabels.host }}/'
    payload:
      text: '{{ .Status }} {{ len .Alerts }} {{ .ExternalURL }}'
      list: ['{{ .Receiver }}', 7, true]
)";
  FakeWorld world(config, clock, directory.path());
  Post(world, {{"alertname", "x"}, {"host", "there"}});
  world.RunUntil(kStartMs + 2000);
  REQUIRE(world.receivers().taken.size() == 1);
  CHECK(world.receivers().taken[0].host == "there");
  CHECK(Json::parse(world.receivers().taken[0].body) ==
        Json::parse(R"({"text": "firing 1 http://am.test",
                        "list": ["r", 7, true]})"));
}

TEST_CASE("the first groups wait for the start delay") {
  base::TemporaryDirectory directory;
  base::FakeClock clock(kStartMs);
  AlertmanagerOptions options;
  options.dispatcher.start_delay_ms = 4000;
  FakeWorld world(kConfig, clock, directory.path(), options);
  Post(world, {{"alertname", "x"}});
  world.RunUntil(kStartMs + 3990);
  CHECK(world.receivers().taken.empty());
  world.RunUntil(kStartMs + 4000);
  CHECK(world.receivers().taken.size() == 1);
}

TEST_CASE("what is muted is counted by its reason") {
  base::TemporaryDirectory directory;
  base::FakeClock clock(kStartMs);
  const std::string config = std::string(kConfig) + R"(
inhibit_rules:
- {source_matchers: [alertname=src], target_matchers: [alertname=dst]}
)";
  FakeWorld world(config, clock, directory.path());
  const Json silence = {
      {"matchers", {{{"name", "quiet"}, {"value", "yes"}, {"isRegex", false}}}},
      {"startsAt", TimeText(kStartMs)},
      {"endsAt", TimeText(kStartMs + 60'000)},
      {"createdBy", ""},
      {"comment", ""}};
  REQUIRE(world.Request("POST", "/api/v2/silences", silence.dump()).status() ==
          200);
  Post(world, {{"alertname", "src"}, {"quiet", "yes"}});
  Post(world, {{"alertname", "dst"}});
  world.RunUntil(kStartMs + 1500);
  CHECK(world.receivers().taken.empty());
  const std::string metrics = world.registry().Expose();
  for (const char* line :
       {"alertmanager_notifications_suppressed_total{reason=\"silence\"} 1\n",
        "alertmanager_notifications_suppressed_total{reason=\"inhibition\"} "
        "1\n",
        "alertmanager_alerts{state=\"suppressed\"} 2\n",
        "alertmanager_silences{state=\"active\"} 1\n",
        "alertmanager_dispatcher_aggregation_groups 2\n"}) {
    INFO(line);
    CHECK(absl::StrContains(metrics, line));
  }
}

TEST_CASE("alerts posted during reloads all end up in their groups") {
  constexpr int kPosters = 2;
  constexpr int kAlerts = 100;
  base::TemporaryDirectory directory;
  base::FakeClock clock(kStartMs);
  FakeWorld world(kConfig, clock, directory.path());
  world.alertmanager().Start();
  std::vector<std::thread> threads;
  std::atomic<int> refused = 0;
  for (int poster = 0; poster < kPosters; ++poster) {
    threads.emplace_back([&, poster] {
      for (int i = 0; i < kAlerts; ++i) {
        const Json labels = {{"alertname", "n" + std::to_string(i % 7)},
                             {"id", std::to_string(poster * kAlerts + i)}};
        const Json body = Json::array({{{"labels", labels}}});
        const auto response =
            world.Request("POST", "/api/v2/alerts", body.dump());
        refused += response.status() == 200 ? 0 : 1;
      }
    });
  }
  threads.emplace_back([&] {
    for (int i = 0; i < 20; ++i) {
      world.Request("GET", "/api/v2/alerts/groups");
      clock.Advance(100);
      refused += world.Reload(kConfig).ok() ? 0 : 1;
    }
  });
  for (std::thread& thread : threads) thread.join();
  CHECK(refused == 0);
  std::size_t held = 0;
  for (const GroupView& group :
       world.alertmanager().generation()->dispatcher->Groups()) {
    held += group.alerts.size();
  }
  CHECK(held == kPosters * kAlerts);
  world.alertmanager().Stop(/*wait_ms=*/1000);
}

}  // namespace
}  // namespace narthex::alertmanager
