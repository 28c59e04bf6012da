#include "libs/rules/manager.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/model/sample.h"
#include "libs/rules/fake_world.h"

namespace narthex::rules {
namespace {

constexpr std::int64_t kStart = 1'700'000'000'000;

std::vector<RuleFile> Files(const std::string& groups) {
  const auto file = ParseRuleFile("groups:\n" + groups, "f.yml");
  REQUIRE(file.ok());
  return {*file};
}

// Lets the other threads run until `done` holds; false after 10 seconds.
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
  Bench() : manager(Options(), clock, base::Logger::Discard(), registry) {}

  bool Exposes(const std::string& line) {
    return absl::StrContains(registry.Expose(), line + "\n");
  }

  FakeWorld world;
  base::FakeClock clock{kStart};
  metrics::Registry registry;
  Manager manager;

 private:
  ManagerOptions Options() {
    ManagerOptions options;
    options.group = world.Options();
    options.threads = 3;
    return options;
  }
};

const std::string kGroup = "- {name: g, rules: [{record: r, expr: up}]}\n";
const std::string kIterations =
    "prometheus_rule_group_iterations_total{rule_group=\"f.yml;g\"} ";

TEST_CASE("groups run once an interval and count what they miss") {
  Bench bench;
  bench.world.SetResult("up",
                        std::vector<promql::VectorSample>{{{{"job", "a"}}, 1}});
  bench.manager.Update(Files(kGroup), {});
  bench.manager.Start();
  CHECK(bench.manager.Status()[0].last_evaluation_ms == 0);

  bench.clock.Advance(60 * 1000);
  REQUIRE(Eventually([&] { return bench.Exposes(kIterations + "1"); }));
  // Three more are due, of which the last is done.
  bench.clock.Advance(3 * 60 * 1000);
  REQUIRE(Eventually([&] { return bench.Exposes(kIterations + "4"); }));
  CHECK(bench.Exposes(
      "prometheus_rule_group_iterations_missed_total{rule_group=\"f.yml;g\"} "
      "2"));
  bench.manager.Stop();
  const auto stored = bench.world.TakeStored();
  REQUIRE(stored.size() == 2);
  CHECK(stored[1].timestamp_ms - stored[0].timestamp_ms == 3 * 60 * 1000);
}

TEST_CASE("a group that is unchanged is left alone by a reload") {
  Bench bench;
  bench.manager.Update(Files(kGroup), {});
  bench.manager.Start();
  bench.clock.Advance(60 * 1000);
  REQUIRE(Eventually(
      [&] { return bench.manager.Status()[0].last_evaluation_ms != 0; }));
  bench.manager.Update(Files(kGroup + "- {name: h, rules: []}\n"), {});
  const auto status = bench.manager.Status();
  REQUIRE(status.size() == 2);
  CHECK(status[0].last_evaluation_ms != 0);
  CHECK(status[1].name == "h");
}

TEST_CASE("a group that goes ends its series later and takes its metrics") {
  Bench bench;
  bench.world.SetResult("up",
                        std::vector<promql::VectorSample>{{{{"job", "a"}}, 1}});
  bench.manager.Update(Files(kGroup), {});
  bench.manager.Start();
  bench.clock.Advance(60 * 1000);
  REQUIRE(Eventually([&] { return bench.Exposes(kIterations + "1"); }));
  bench.manager.Update({}, {});
  CHECK(bench.manager.Status().empty());
  bench.world.TakeStored();

  bench.clock.Advance(2 * 60 * 1000);
  REQUIRE(Eventually(
      [&] { return !absl::StrContains(bench.registry.Expose(), "f.yml;g"); }));
  const auto stored = bench.world.TakeStored();
  REQUIRE(stored.size() == 1);
  CHECK(model::IsStaleNan(stored[0].value));
}

}  // namespace
}  // namespace narthex::rules
