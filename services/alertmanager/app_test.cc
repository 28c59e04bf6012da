#include "services/alertmanager/app.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/mutex.h"
#include "libs/http/client.h"
#include "libs/http/server.h"

namespace narthex::alertmanager {
namespace {

/// A webhook over the network that keeps what it gets.
class Hook {
 public:
  Hook() {
    router_.Post("/", [this](const http::Request& request, http::Response&) {
      base::MutexLock lock(mutex_);
      bodies_.push_back(request.body);
      arrived_.NotifyAll();
    });
    server_ = *http::Server::Start(http::ServerOptions(), router_,
                                   base::Logger::Discard());
  }
  std::string url() const {
    return absl::StrCat("http://", server_->address(), "/");
  }
  /// Waits for so many; fails after ten seconds.
  std::vector<std::string> WaitFor(std::size_t count) {
    base::MutexLock lock(mutex_);
    while (bodies_.size() < count) {
      REQUIRE(arrived_.WaitFor(mutex_, std::chrono::seconds(10)));
    }
    return bodies_;
  }

 private:
  base::Mutex mutex_;
  base::CondVar arrived_;
  std::vector<std::string> bodies_;
  http::Router router_;
  std::unique_ptr<http::Server> server_;
};

/// The service in this process.
class Service {
 public:
  Service(const std::string& directory)
      : process_(AlertmanagerIdentity(), app_) {
    status_ = process_.Start({
        absl::StrCat("--config.file=", directory, "/am.yml"),
        absl::StrCat("--storage.path=", directory, "/data"),
        "--web.listen-address=127.0.0.1:0",
        "--cluster.listen-address=",
        "--log.level=error",
    });
  }
  ~Service() { process_.Stop(); }

  const absl::Status& status() const { return status_; }
  int Fetch(const std::string& method, const std::string& path,
            const std::string& body, std::string* answer) {
    http::FetchRequest request;
    request.method = method;
    request.url = absl::StrCat("http://127.0.0.1:", process_.port(), path);
    request.headers.Set("Content-Type", "application/json");
    request.body = body;
    return client_.Fetch(std::move(request), answer).code;
  }

 private:
  AlertmanagerApp app_;
  service::Process process_;
  http::Client client_;
  absl::Status status_;
};

std::string ConfigFor(const Hook& hook) {
  return absl::StrCat(
      "route: {receiver: r, group_by: [alertname], group_wait: 1ms}\n"
      "receivers: [{name: r, webhook_configs: [{url: '",
      hook.url(), "'}]}]\n");
}

TEST_CASE("an alert posted over HTTP reaches its webhook; a silence lasts") {
  base::TemporaryDirectory directory;
  Hook hook;
  REQUIRE(
      base::WriteFileAtomically(directory.path() + "/am.yml", ConfigFor(hook))
          .ok());
  std::string answer;
  std::string id;
  {
    Service service(directory.path());
    REQUIRE(service.status().ok());
    CHECK(service.Fetch("GET", "/-/ready", "", &answer) == 200);
    REQUIRE(service.Fetch("POST", "/api/v2/alerts",
                          R"([{"labels":{"alertname":"A"}}])", &answer) == 200);
    const auto bodies = hook.WaitFor(1);
    CHECK(nlohmann::json::parse(bodies[0])["groupKey"] ==
          R"({}:{alertname="A"})");
    REQUIRE(service.Fetch("POST", "/api/v2/silences",
                          R"({"matchers":[{"name":"a","value":"b",)"
                          R"("isRegex":false}],"createdBy":"","comment":"",)"
                          R"("startsAt":"2020-01-01T00:00:00Z",)"
                          R"("endsAt":"2999-01-01T00:00:00Z"})",
                          &answer) == 200);
    id = nlohmann::json::parse(answer)["silenceID"];
    CHECK(service.Fetch("POST", "/-/reload", "", &answer) == 200);
    REQUIRE(
        base::WriteFileAtomically(directory.path() + "/am.yml", "bad: 1").ok());
    CHECK(service.Fetch("POST", "/-/reload", "", &answer) == 500);
    CHECK_THAT(answer, Catch::Contains("am.yml: line 1"));
    REQUIRE(service.Fetch("GET", "/metrics", "", &answer) == 200);
    CHECK_THAT(answer, Catch::Contains(
                           "alertmanager_config_last_reload_successful 0\n"));
    CHECK(service.Fetch("GET", "/", "", &answer) == 200);
    REQUIRE(
        base::WriteFileAtomically(directory.path() + "/am.yml", ConfigFor(hook))
            .ok());
  }
  Service service(directory.path());
  REQUIRE(service.status().ok());
  CHECK(service.Fetch("GET", "/api/v2/silence/" + id, "", &answer) == 200);
}

TEST_CASE(
    "a configuration that does not load keeps the service from starting") {
  base::TemporaryDirectory directory;
  REQUIRE(
      base::WriteFileAtomically(directory.path() + "/am.yml", "bad: 1").ok());
  Service service(directory.path());
  CHECK_THAT(std::string(service.status().message()),
             Catch::Contains("am.yml: line 1"));
}

}  // namespace
}  // namespace narthex::alertmanager
