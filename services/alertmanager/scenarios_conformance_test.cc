// Runs ../shared/conformance/alertmanager/scenarios.json on a fake clock.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "services/alertmanager/fake_world.h"

namespace narthex::alertmanager {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kStartMs = 1'700'000'000'000;

std::int64_t AtMs(const Json& seconds) {
  return kStartMs +
         static_cast<std::int64_t>(std::llround(seconds.get<double>() * 1000));
}

std::string SharedDirectory() {
  const char* given = std::getenv("NARTHEX_SHARED");
  return given != nullptr ? given : NARTHEX_SHARED_DEFAULT;
}

/// `{webhook:name}` becomes a host of that name.
std::string ConfigText(const Json& scenario) {
  return absl::StrReplaceAll(scenario["config"].get<std::string>(),
                             {{"{webhook:", ""}, {"}'", "'"}});
}

Json PostedAlert(const Json& alert) {
  Json posted = {{"labels", alert["labels"]}};
  if (alert.contains("annotations")) {
    posted["annotations"] = alert["annotations"];
  }
  if (alert.contains("active")) {
    posted["startsAt"] = TimeText(AtMs(alert["active"][0]));
    if (alert["active"].size() > 1) {
      posted["endsAt"] = TimeText(AtMs(alert["active"][1]));
    }
  }
  return posted;
}

void Act(const Json& action, const std::string& config, FakeWorld& world,
         std::map<std::string, std::string>* silences) {
  if (action.contains("post_alerts")) {
    Json body = Json::array();
    for (const Json& alert : action["post_alerts"]) {
      body.push_back(PostedAlert(alert));
    }
    REQUIRE(world.Request("POST", "/api/v2/alerts", body.dump()).status() ==
            200);
  } else if (action.contains("post_silence")) {
    const Json& silence = action["post_silence"];
    const Json body = {{"matchers", silence["matchers"]},
                       {"startsAt", TimeText(AtMs(silence["active"][0]))},
                       {"endsAt", TimeText(AtMs(silence["active"][1]))},
                       {"createdBy", "test"},
                       {"comment", "test"}};
    const auto response =
        world.Request("POST", "/api/v2/silences", body.dump());
    REQUIRE(response.status() == 200);
    (*silences)[silence["ref"]] = Json::parse(response.body())["silenceID"];
  } else if (action.contains("delete_silence")) {
    const std::string id = (*silences)[action["delete_silence"]];
    REQUIRE(world.Request("DELETE", "/api/v2/silence/" + id).status() == 200);
  } else {
    REQUIRE(action.contains("reload"));
    REQUIRE(world.Reload(config).ok());
  }
}

bool IsNear(const Json& time, const Json& expected, double tolerance) {
  std::int64_t ms = 0;
  absl::Time parsed;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, time.get<std::string>(), &parsed,
                       &error)) {
    return false;
  }
  ms = absl::ToUnixMillis(parsed);
  return std::abs(static_cast<double>(ms - AtMs(expected))) <= tolerance * 1000;
}

bool IsAlert(const Json& got, const Json& expected, double tolerance) {
  const Json annotations = expected.value("annotations", Json::object());
  if (got["labels"] != expected["labels"] ||
      got["annotations"] != annotations) {
    return false;
  }
  if (!expected.contains("active")) return got["status"] == "firing";
  const Json& active = expected["active"];
  if (!IsNear(got["startsAt"], active[0], tolerance)) return false;
  if (active.size() == 1) return got["status"] == "firing";
  return got["status"] == "resolved" &&
         IsNear(got["endsAt"], active[1], tolerance);
}

bool HasAlerts(const Json& got, const Json& expected, double tolerance) {
  if (expected.contains("alert_count")) {
    return got["alerts"].size() == expected["alert_count"];
  }
  if (got["alerts"].size() != expected["alerts"].size()) return false;
  for (const Json& alert : expected["alerts"]) {
    bool found = false;
    for (const Json& candidate : got["alerts"]) {
      found = found || IsAlert(candidate, alert, tolerance);
    }
    if (!found) return false;
  }
  return true;
}

bool IsNotification(const FakeReceivers::Message& message, const Json& expected,
                    double tolerance) {
  const double slack = tolerance * 1000;
  const auto at = static_cast<double>(message.at_ms);
  if (at < static_cast<double>(AtMs(expected["between"][0])) - slack ||
      at > static_cast<double>(AtMs(expected["between"][1])) + slack) {
    return false;
  }
  const Json got = Json::parse(message.body);
  const Json payload = expected.value("payload", Json::object());
  for (const auto& [name, value] : payload.items()) {
    if (got.at(name) != value) return false;
  }
  return HasAlerts(got, expected, tolerance);
}

void CheckReceived(const Json& scenario,
                   std::vector<FakeReceivers::Message> received) {
  const double tolerance = scenario["tolerance"];
  for (const auto& [host, list] : scenario["expect"].items()) {
    for (const Json& expected : list) {
      INFO("receiver " << host << " misses " << expected.dump());
      const auto it =
          std::find_if(received.begin(), received.end(),
                       [&, name = host](const FakeReceivers::Message& message) {
                         return message.host == name &&
                                IsNotification(message, expected, tolerance);
                       });
      CHECK(it != received.end());
      if (it != received.end()) received.erase(it);
    }
  }
  for (const FakeReceivers::Message& message : received) {
    FAIL_CHECK("not expected at " << message.at_ms - kStartMs << " ms by "
                                  << message.host << ": " << message.body);
  }
}

void Run(const Json& scenario) {
  base::TemporaryDirectory directory;
  base::FakeClock clock(kStartMs);
  const std::string config = ConfigText(scenario);
  FakeWorld world(config, clock, directory.path());
  const Json hooks = scenario.value("webhooks", Json::object());
  for (const auto& [host, how] : hooks.items()) {
    FakeReceivers::Behaviour& behaviour = world.receivers().behaviour[host];
    if (how.contains("status_500_before")) {
      behaviour.fail_before_ms = AtMs(how["status_500_before"]);
    }
    if (how.contains("delay")) {
      behaviour.delay_before_ms = AtMs(how["delay"]["before"]);
      behaviour.delay_ms = AtMs(how["delay"]["seconds"]) - kStartMs;
    }
  }
  std::map<std::string, std::string> silences;
  for (const Json& action : scenario["actions"]) {
    world.RunUntil(AtMs(action["at"]));
    Act(action, config, world, &silences);
  }
  world.RunUntil(AtMs(scenario["run_for"]));
  CheckReceived(scenario, world.receivers().taken);
}

TEST_CASE("all scenarios notify whom and when Alertmanager does") {
  const std::string path =
      SharedDirectory() + "/conformance/alertmanager/scenarios.json";
  std::ifstream file(path);
  if (!file) {
    WARN("skipped: no " << path);
    return;
  }
  const Json scenarios = Json::parse(file)["scenarios"];
  CHECK(scenarios.size() >= 17);
  for (const Json& scenario : scenarios) {
    const std::string name = scenario["name"];
    INFO("scenario " << name);
    Run(scenario);
  }
}

}  // namespace
}  // namespace narthex::alertmanager
