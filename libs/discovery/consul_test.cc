#include "libs/discovery/consul.h"

#include <chrono>

#include "libs/discovery/consul_provider.h"
#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"

namespace narthex::discovery {
namespace {

/// An agent with blocking queries: each change of anything moves the one
/// index, and a question with the newest index waits for the next.
class FakeConsul {
 public:
  FakeConsul() {
    server.Answer("/v1/agent/self", R"({"Config": {"Datacenter": "dc1"}})");
    server.Handle("/v1/catalog/services", [this](const http::Request& request,
                                                 http::Response& response) {
      Serve("", request, response);
    });
  }
  ~FakeConsul() {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }

  /// The catalogue when `service` is empty.
  void Set(const std::string& service, const std::string& json,
           int status = 200) {
    if (!service.empty()) {
      server.Handle("/v1/health/service/" + service,
                    [this, service](const http::Request& request,
                                    http::Response& response) {
                      Serve(service, request, response);
                    });
    }
    base::MutexLock lock(mutex_);
    answers_[service] = {json, status};
    ++index_;
    changed_.NotifyAll();
  }

  std::string Config(const std::string& more) const {
    return "{server: '" + server.address() + "', refresh_interval: 10ms" +
           more + "}";
  }

  ProviderServer server;

 private:
  void Serve(const std::string& service, const http::Request& request,
             http::Response& response) {
    base::MutexLock lock(mutex_);
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (request.params.Get("index") == absl::StrCat(index_) && !stopping_ &&
           !request.cancelled() &&
           std::chrono::steady_clock::now() < deadline) {
      changed_.WaitFor(mutex_, std::chrono::milliseconds(20));
    }
    const auto& [json, status] = answers_[service];
    response.headers().Set("X-Consul-Index", absl::StrCat(index_));
    response.Send(status, "application/json", json);
  }

  base::Mutex mutex_;
  base::CondVar changed_;
  int index_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, std::pair<std::string, int>> answers_
      ABSL_GUARDED_BY(mutex_);
};

std::unique_ptr<ProviderRun> Run(const FakeConsul& consul,
                                 const std::string& more = "") {
  const auto config = ParseConfig<ConsulConfig>(consul.Config(more));
  return std::make_unique<ProviderRun>([&](const ProviderContext& context) {
    return std::make_unique<ConsulProvider>(
        ConsulProvider::Options{.retry_interval_ms = 20}, config, context);
  });
}

std::string Instance(const std::string& id, const std::string& checks = "[]") {
  return R"({"Node": {"Node": "n1", "Address": "10.0.0.1",
               "Meta": {"rack-id": "7"}, "TaggedAddresses": {"lan": "10.0.0.1"}},
             "Service": {"ID": ")" +
         id + R"(", "Service": "web", "Tags": ["a", "b"], "Address": "",
               "Port": 80, "Meta": {"v.1": "x"}},
             "Checks": )" +
         checks + "}";
}

std::string Found(const std::string& id, const std::string& health) {
  return Printed("10.0.0.1:80", "__meta_consul_",
                 {{"address", "10.0.0.1"},
                  {"node", "n1"},
                  {"tags", ",a,b,"},
                  {"service_port", "80"},
                  {"service_id", id},
                  {"health", health},
                  {"metadata_rack_id", "7"},
                  {"service_metadata_v_1", "x"},
                  {"tagged_address_lan", "10.0.0.1"},
                  {"service", "web"},
                  {"dc", "dc1"}});
}

TEST_CASE("consul's services are followed as they come, change and go") {
  FakeConsul consul;
  consul.Set("", R"({"web": ["a", "b"]})");
  consul.Set("web", "[" + Instance("w1") + "]");
  const auto run = Run(consul);
  CHECK(run->WaitFor(Found("w1", "passing")));
  CHECK(run->sources() == std::set<std::string>{"web"});

  consul.Set("web", "[" + Instance("w1") + "," +
                        Instance("w2", R"([{"Status": "passing"},
                                           {"Status": "critical"}])") +
                        "]");
  CHECK(run->WaitFor({Found("w1", "passing"), Found("w2", "critical")}));
  consul.Set("api", R"([{"Node": {"Address": "10.0.0.1"},
      "Service": {"ID": "a1", "Address": "fd::2", "Port": 8,
                  "Namespace": "n", "Partition": "p"}}])");
  consul.Set("", R"({"web": [], "api": []})");
  CHECK(run->WaitFor({Found("w1", "passing"), Found("w2", "critical"),
                      Printed("[fd::2]:8", "__meta_consul_",
                              {{"address", "10.0.0.1"},
                               {"namespace", "n"},
                               {"partition", "p"},
                               {"tags", ",,"},
                               {"service_address", "fd::2"},
                               {"service_port", "8"},
                               {"service_id", "a1"},
                               {"health", "passing"},
                               {"service", "api"},
                               {"dc", "dc1"}})}));
  consul.Set("", R"({"web": []})");
  CHECK(run->WaitFor({Found("w1", "passing"), Found("w2", "critical")}));
  consul.Set("", "{}");
  CHECK(run->WaitFor(ProviderRun::Targets{}));
  CHECK(run->CountOf("prometheus_sd_consul_rpc_failures_total") == 0);
}

TEST_CASE("what consul cannot answer keeps its targets") {
  FakeConsul consul;
  consul.Set("", R"({"web": []})");
  consul.Set("web", "[" + Instance("w1") + "]");
  const auto run = Run(consul);
  CHECK(run->WaitFor(Found("w1", "passing")));
  consul.Set("web", "no", 500);
  consul.Set("", "[]");
  CHECK(run->WaitForCount("prometheus_sd_consul_rpc_failures_total", 4));
  CHECK(run->WaitFor(Found("w1", "passing")));
  consul.Set("web", "[" + Instance("w2") + "]");
  CHECK(run->WaitFor(Found("w2", "passing")));
}

TEST_CASE("consul is asked for what the configuration names") {
  FakeConsul consul;
  consul.Set("", R"({"web": ["a", "b"], "db": ["a"], "x": ["a", "b"]})");
  consul.Set("web", "[" + Instance("w1") + "]");
  consul.Set("db", "[" + Instance("d1") + "]");
  consul.Set("x", "[" + Instance("x1") + "]");
  const auto run = Run(consul,
                       ", services: [web, db], tags: [a, b], token: t,"
                       "datacenter: dc1, namespace: ns, partition: pt,"
                       "node_meta: {k: v}, filter: 'A == b',"
                       "health_filter: C, username: u, password: p");
  CHECK(run->WaitFor(Found("w1", "passing")));
  CHECK(consul.server.Last("/v1/agent/self").path.empty());
  const http::Request catalog = consul.server.Last("/v1/catalog/services");
  CHECK(catalog.headers.Get("X-Consul-Token") == "t");
  CHECK(catalog.headers.Get("Authorization") == "Basic dTpw");
  CHECK_THAT(catalog.raw_query,
             Catch::StartsWith("dc=dc1&ns=ns&partition=pt&stale=&"));
  CHECK_THAT(
      catalog.raw_query,
      Catch::EndsWith("wait=120000ms&node-meta=k%3Av&filter=A%20%3D%3D%20b"));
  const http::Request health = consul.server.Last("/v1/health/service/web");
  CHECK_THAT(health.raw_query,
             Catch::EndsWith("node-meta=k%3Av&filter=C&tag=a&tag=b"));
}

TEST_CASE("services that consul need not list are watched alone") {
  FakeConsul consul;
  consul.Set("web", "[" + Instance("w1", R"([{"CheckID": "_node_maintenance",
      "Status": "critical"}])") +
                        "]");
  const auto run = Run(consul, ", services: [web], allow_stale: false");
  CHECK(run->WaitFor(Found("w1", "maintenance")));
  CHECK(consul.server.Last("/v1/catalog/services").path.empty());
  CHECK_FALSE(consul.server.Last("/v1/health/service/web").params.Has("stale"));
}

TEST_CASE("an agent that is away is asked for its datacenter again") {
  FakeConsul consul;
  consul.server.Answer("/v1/agent/self", "{}");
  consul.Set("", R"({"web": []})");
  consul.Set("web", "[" + Instance("w1") + "]");
  const auto run = Run(consul);
  CHECK(run->WaitForCount("prometheus_sd_consul_rpc_failures_total", 1));
  consul.server.Answer("/v1/agent/self",
                       R"({"Config": {"Datacenter": "dc1"}})");
  CHECK(run->WaitFor(Found("w1", "passing")));
}

TEST_CASE("consul configs are checked and printed") {
  CHECK(PrintedConfig(ParseConfig<ConsulConfig>("{token: t}")) ==
        "server: localhost:8500\ntoken: <secret>\ntag_separator: ','\n"
        "scheme: http\nallow_stale: true\nrefresh_interval: 30s\n"
        "follow_redirects: true\nenable_http2: true\n");
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"{server: ' '}", "consul SD configuration requires a server address"},
      {"{username: u, basic_auth: {username: u}}",
       "at most one of consul SD configuration username and password and "
       "basic auth can be configured"},
      {"{token: t, authorization: {credentials: c}}",
       "at most one of consul SD token, authorization, or oauth2 can be "
       "configured"},
  };
  for (const auto& [text, reason] : rows) {
    INFO(text);
    CHECK_THAT(ConfigError<ConsulConfig>(text), Catch::EndsWith(reason));
  }
}

}  // namespace
}  // namespace narthex::discovery
