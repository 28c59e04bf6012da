#include "libs/service/process.h"

#include <catch2/catch.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/http/client.h"

namespace narthex::service {

namespace {

class FakeApp : public App {
 public:
  void AddFlags(FlagSet& flags) override {
    flags.String("test.greeting", &greeting, "What to say.");
  }
  absl::Status Start(Process& process) override {
    process.router().Get("/hello",
                         [this](const auto&, http::Response& response) {
                           response.Send(200, "text/plain", greeting);
                         });
    for (const char* part : {"first", "second"}) {
      process.OnStop(part, [this, part] { stopped.push_back(part); });
    }
    process.OnReload("config", [this] { return reload_status; });
    if (during_start) during_start(process);
    return start_status;
  }

  std::string greeting = "hello";
  std::vector<std::string> stopped;
  absl::Status reload_status;
  absl::Status start_status;
  std::function<void(Process&)> during_start;
};

const Identity kIdentity{"test", "Narthex Test", "127.0.0.1:0"};

// Answers "code body".
std::string Ask(const Process& process, absl::string_view method,
                absl::string_view path) {
  http::Client client;
  std::string body;
  const auto result = client.Fetch(
      {.url = absl::StrCat("http://127.0.0.1:", process.port(), path),
       .method = std::string(method)},
      &body);
  return absl::StrCat(result.code, " ", body);
}

const std::vector<std::string> kQuiet = {"--log.level=error"};

}  // namespace

TEST_CASE("a process serves its routes and the ops endpoints") {
  FakeApp app;
  Process process(kIdentity, app);
  REQUIRE(process.Start({"--log.level=error", "--test.greeting=hi"}).ok());

  CHECK(Ask(process, "GET", "/hello") == "200 hi");
  CHECK(Ask(process, "GET", "/-/healthy") == "200 Narthex Test is Healthy.\n");
  CHECK(Ask(process, "GET", "/-/ready") == "200 Narthex Test is Ready.\n");
  const std::string metrics = Ask(process, "GET", "/metrics");
  for (const char* name :
       {"process_cpu_seconds_total", "process_resident_memory_bytes",
        "process_open_fds", "process_start_time_seconds",
        "narthex_build_info{service=\"test\"",
        "prometheus_http_requests_total{handler=\"/hello\",code=\"200\"} 1"}) {
    INFO(name);
    CHECK(absl::StrContains(metrics, name));
  }
}

TEST_CASE("a part of Prometheus tells so in the metric of its build") {
  for (const bool part : {false, true}) {
    FakeApp app;
    Identity identity = kIdentity;
    identity.prometheus_build_info = part;
    Process process(identity, app);
    REQUIRE(process.Start(kQuiet).ok());
    CHECK(absl::StrContains(Ask(process, "GET", "/metrics"),
                            "prometheus_build_info{branch=") == part);
  }
}

TEST_CASE("until the service has started, only ops endpoints answer") {
  FakeApp app;
  Process process(kIdentity, app);
  app.during_start = [&](Process&) {
    CHECK(Ask(process, "GET", "/hello") == "503 Service Unavailable\n");
    CHECK(Ask(process, "GET", "/not-yet") == "503 Service Unavailable\n");
    CHECK(Ask(process, "GET", "/-/ready") == "503 Service Unavailable\n");
    CHECK(absl::StartsWith(Ask(process, "GET", "/-/healthy"), "200"));
    CHECK(absl::StartsWith(Ask(process, "GET", "/metrics"), "200"));
  };
  CHECK(process.Start(kQuiet).ok());
}

TEST_CASE("what started is stopped in reverse order, once") {
  FakeApp app;
  Process process(kIdentity, app);
  REQUIRE(process.Start(kQuiet).ok());
  process.Stop();
  process.Stop();
  CHECK(app.stopped == std::vector<std::string>{"second", "first"});
}

TEST_CASE("a failed start is reported and undone") {
  FakeApp app;
  app.start_status = absl::InternalError("no disk");
  Process process(kIdentity, app);
  CHECK(process.Start(kQuiet).message() == "no disk");
  process.Stop();
  CHECK(app.stopped.size() == 2);
}

TEST_CASE("reload and quit need the lifecycle flag and the right method") {
  FakeApp app;
  SECTION("without the flag") {
    Process process(kIdentity, app);
    REQUIRE(process.Start(kQuiet).ok());
    CHECK(Ask(process, "POST", "/-/reload") ==
          "403 Lifecycle API is not enabled.\n");
    CHECK(Ask(process, "PUT", "/-/quit") ==
          "403 Lifecycle API is not enabled.\n");
    CHECK(Ask(process, "GET", "/-/reload") ==
          "405 Only POST or PUT requests allowed\n");
  }
  SECTION("with the flag") {
    Process process(kIdentity, app);
    REQUIRE(
        process.Start({"--log.level=error", "--web.enable-lifecycle"}).ok());
    CHECK(Ask(process, "POST", "/-/reload") == "200 ");
    CHECK(absl::StrContains(Ask(process, "GET", "/metrics"),
                            "prometheus_config_last_reload_successful 1"));
    app.reload_status = absl::InvalidArgumentError("line 3: bad field");
    CHECK(Ask(process, "PUT", "/-/reload") ==
          "500 failed to reload config: line 3: bad field\n");
    CHECK(absl::StrContains(Ask(process, "GET", "/metrics"),
                            "prometheus_config_last_reload_successful 0"));
    CHECK(Ask(process, "GET", "/-/quit") ==
          "405 Only POST or PUT requests allowed\n");
    CHECK(Ask(process, "POST", "/-/quit") ==
          "200 Requesting termination... Goodbye!");
    CHECK(process.stopping());
  }
}

TEST_CASE("the path of the external URL prefixes all routes") {
  FakeApp app;
  Process process(kIdentity, app);
  REQUIRE(process
              .Start({"--log.level=error",
                      "--web.external-url=http://example.org/narthex/"})
              .ok());
  CHECK(process.external_url() == "http://example.org/narthex");
  CHECK(process.route_prefix() == "/narthex");
  CHECK(Ask(process, "GET", "/narthex/hello") == "200 hello");
  CHECK(Ask(process, "GET", "/hello") == "404 404 page not found\n");
}

TEST_CASE("checks decide over readiness and health") {
  FakeApp app;
  Process process(kIdentity, app);
  REQUIRE(process.Start(kQuiet).ok());
  absl::Status health;
  process.AddHealthCheck([&] { return health; });
  process.AddReadyCheck([] { return absl::UnavailableError("no peers"); });
  CHECK(Ask(process, "GET", "/-/ready") == "503 no peers\n");
  CHECK(absl::StartsWith(Ask(process, "GET", "/-/healthy"), "200"));
  health = absl::UnavailableError("queue is full");
  CHECK(Ask(process, "GET", "/-/healthy") == "503 queue is full\n");
}

TEST_CASE("a program ends with 1 and a message on an unknown flag") {
  FakeApp app;
  Process process(kIdentity, app);
  const absl::Status status = process.Start({"--bogus"});
  CHECK(status.message() == "unknown long flag '--bogus'");
}

}  // namespace narthex::service
