#include "libs/discovery/refresh_provider.h"

#include <atomic>
#include <thread>

#include "libs/discovery/provider_run.h"
#include "libs/http/server.h"

namespace narthex::discovery {
namespace {

TargetGroup Group(const std::string& source,
                  const std::vector<std::string>& addresses) {
  TargetGroup group;
  group.source = source;
  for (const std::string& address : addresses) {
    group.targets.push_back(model::Labels{{kAddressLabel, address}});
  }
  return group;
}

/// What a refresh answers; changed by the test.
class Answer {
 public:
  void Set(absl::StatusOr<std::vector<TargetGroup>> answer) {
    base::MutexLock lock(mutex_);
    answer_ = std::move(answer);
  }
  RefreshProvider::Refresh refresh() {
    return [this](Fetcher&) {
      base::ReaderMutexLock lock(mutex_);
      return answer_;
    };
  }

 private:
  mutable base::Mutex mutex_;
  absl::StatusOr<std::vector<TargetGroup>> answer_ =
      absl::UnavailableError("not yet");
};

TEST_CASE("a refresh replaces groups, and one that fails keeps them") {
  Answer answer;
  ProviderRun run([&](const ProviderContext& context) {
    return std::make_unique<RefreshProvider>(
        RefreshProvider::Options{.mechanism = "m", .interval_ms = 5}, context,
        answer.refresh());
  });
  CHECK(run.WaitForFailure("m"));
  CHECK(run.WaitFor(ProviderRun::Targets{}));

  answer.Set(
      std::vector<TargetGroup>{Group("a", {"x", "y"}), Group("b", {"z"})});
  CHECK(run.WaitFor(
      {R"(__address__="x")", R"(__address__="y")", R"(__address__="z")"}));
  answer.Set(absl::UnavailableError("down"));
  const double failures = run.CountOf(
      R"(prometheus_sd_refresh_failures_total{mechanism="m",config="j"})");
  CHECK(run.WaitForCount(
      R"(prometheus_sd_refresh_failures_total{mechanism="m",config="j"})",
      failures + 2));
  CHECK(run.sources() == std::set<std::string>{"a", "b"});

  answer.Set(std::vector<TargetGroup>{Group("b", {"w"})});
  CHECK(run.WaitFor(R"(__address__="w")"));
  CHECK(run.sources() == std::set<std::string>{"b"});
  CHECK(run.CountOf(R"(prometheus_sd_refresh_duration_seconds_count)"
                    R"({mechanism="m",config="j"})") >= 3);
}

TEST_CASE("stopping ends a request that is under way") {
  http::Router router;
  std::atomic<bool> asked = false;
  router.Get("/", [&](const http::Request& request, http::Response&) {
    asked = true;
    while (!request.cancelled()) std::this_thread::yield();
  });
  const auto server = http::Server::Start({}, router, base::Logger::Discard());
  REQUIRE(server.ok());
  const std::string url = "http://" + (*server)->address() + "/";
  absl::Status status;
  {
    ProviderRun run([&](const ProviderContext& context) {
      return std::make_unique<RefreshProvider>(
          RefreshProvider::Options{.mechanism = "m", .interval_ms = 60'000},
          context,
          [&](Fetcher& fetcher) -> absl::StatusOr<std::vector<TargetGroup>> {
            status = fetcher.Get(url).status();
            return status;
          });
    });
    CHECK(run.WaitUntil([&] { return asked.load(); }, [] { return "asked"; }));
  }
  CHECK(absl::IsCancelled(status));
}

}  // namespace
}  // namespace narthex::discovery
