#include "libs/discovery/nomad.h"

#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"

namespace narthex::discovery {
namespace {

TEST_CASE("nomad's services are found instance by instance") {
  ProviderServer server;
  server.Answer("/v1/services",
                R"([{"Namespace": "default", "Services": [
                  {"ServiceName": "a b", "Tags": []},
                  {"ServiceName": "none"}]}])");
  server.Answer("/v1/service/a b",
                R"([{"ID": "id1", "ServiceName": "a b", "Namespace": "default",
                  "NodeID": "n1", "Datacenter": "dc1", "Tags": ["x", "y"],
                  "Address": "10.0.0.1", "Port": 80},
                 {"ID": "id2", "ServiceName": "a b", "Namespace": "default",
                  "NodeID": "n1", "Datacenter": "dc1", "Tags": [],
                  "Address": "fd::1", "Port": 81}])");
  server.Answer("/v1/service/none", "null");
  const auto run = RunProvider(ParseConfig<NomadConfig>(
      "{server: '" + server.Url("") +
      "', refresh_interval: 10ms, namespace: '*', tag_separator: ';'}"));
  const auto found = [](const std::string& address, const std::string& host,
                        std::map<std::string, std::string> more) {
    more.insert({{"address", host},
                 {"dc", "dc1"},
                 {"namespace", "default"},
                 {"node_id", "n1"},
                 {"service", "a b"},
                 {"service_address", host}});
    return Printed(address, "__meta_nomad_", more);
  };
  const ProviderRun::Targets wanted = {
      found("10.0.0.1:80", "10.0.0.1",
            {{"service_id", "id1"}, {"service_port", "80"}, {"tags", ";x;y;"}}),
      found("[fd::1]:81", "fd::1",
            {{"service_id", "id2"}, {"service_port", "81"}})};
  CHECK(run->WaitFor(wanted));
  CHECK(server.Last("/v1/services").raw_query ==
        "namespace=%2A&region=global&stale=");

  server.Answer("/v1/service/none", "no", 500);
  CHECK(run->WaitForFailure("nomad"));
  CHECK(run->WaitForCount("prometheus_sd_nomad_failures_total", 1));
  CHECK(run->WaitFor(wanted));
  server.Answer("/v1/services", "[]");
  CHECK(run->WaitFor(ProviderRun::Targets{}));
}

TEST_CASE("nomad configs are checked and printed") {
  CHECK(PrintedConfig(ParseConfig<NomadConfig>("{allow_stale: false}")) ==
        "allow_stale: false\nfollow_redirects: true\nenable_http2: true\n"
        "namespace: default\nrefresh_interval: 1m\nregion: global\n"
        "server: http://localhost:4646\ntag_separator: ','\n");
  CHECK_THAT(
      ConfigError<NomadConfig>("{server: ' '}"),
      Catch::EndsWith("nomad SD configuration requires a server address"));
}

}  // namespace
}  // namespace narthex::discovery
