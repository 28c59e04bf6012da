#include "libs/discovery/uyuni.h"

#include "absl/strings/match.h"
#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"

namespace narthex::discovery {
namespace {

std::string Answer(const std::string& value) {
  return "<?xml version=\"1.0\"?><methodResponse><params><param><value>" +
         value + "</value></param></params></methodResponse>";
}

/// Plays the parts of the API that are asked.
void Serve(const http::Request& request, http::Response& response) {
  const auto asks = [&](const std::string& method) {
    return absl::StrContains(request.body,
                             "<methodName>" + method + "</methodName>");
  };
  std::string body =
      "<methodResponse><fault><value><struct>"
      "<member><name>faultCode</name><value><int>1</int></value></member>"
      "</struct></value></fault></methodResponse>";
  if (asks("auth.login") &&
      absl::StrContains(request.body, "<string>a&lt;b</string>")) {
    body = Answer("<string>token</string>");
  } else if (!absl::StrContains(request.body, "<string>token</string>")) {
    // Not logged in.
  } else if (asks("system.listSystemGroupsForSystemsWithEntitlement")) {
    body = Answer(
        "<array><data><value><struct>"
        "<member><name>id</name><value><int>1</int></value></member>"
        "<member><name>system_groups</name><value><array><data>"
        "<value><struct><member><name>name</name><value>g1</value></member>"
        "</struct></value><value><struct><member><name>name</name>"
        "<value><string>g2</string></value></member></struct></value>"
        "</data></array></value></member></struct></value></data></array>");
  } else if (asks("system.getNetworkForSystems")) {
    body = Answer(
        "<array><data><value><struct>"
        "<member><name>system_id</name><value><i4>1</i4></value></member>"
        "<member><name>hostname</name><value>h</value></member>"
        "<member><name>primary_fqdn</name><value>h.example</value></member>"
        "</struct></value></data></array>");
  } else if (asks("system.monitoring.listEndpoints")) {
    body = Answer(
        "<array><data><value><struct>"
        "<member><name>system_id</name><value><i4>1</i4></value></member>"
        "<member><name>endpoint_name</name><value>Node</value></member>"
        "<member><name>exporter_name</name><value>node</value></member>"
        "<member><name>module</name><value>m</value></member>"
        "<member><name>path</name><value>/metrics</value></member>"
        "<member><name>port</name><value><int>9100</int></value></member>"
        "<member><name>tls_enabled</name><value><boolean>1</boolean></value>"
        "</member></struct></value></data></array>");
  }
  response.Send(200, "text/xml", body);
}

UyuniConfig ConfigFor(const ProviderServer& server,
                      const std::string& password) {
  return ParseConfig<UyuniConfig>(
      "{username: u, refresh_interval: 10ms, password: '" + password +
      "', server: '" + server.Url("/") + "'}");
}

TEST_CASE("uyuni's endpoints are found and kept") {
  ProviderServer server;
  server.Handle("/rpc/api", Serve);
  const auto run = RunProvider(ConfigFor(server, "a<b"));
  const std::string wanted = Printed("h:9100", "__meta_uyuni_",
                                     {{"endpoint_name", "Node"},
                                      {"exporter", "node"},
                                      {"groups", "g1,g2"},
                                      {"metrics_path", "/metrics"},
                                      {"minion_hostname", "h"},
                                      {"primary_fqdn", "h.example"},
                                      {"proxy_module", "m"},
                                      {"scheme", "https"},
                                      {"system_id", "1"}});
  CHECK(run->WaitFor(wanted));
  CHECK(run->sources() == std::set<std::string>{server.Url("/rpc/api")});
  server.Answer("/rpc/api", "no", 500);
  CHECK(run->WaitForFailure("uyuni"));
  CHECK(run->WaitFor(wanted));
  server.Answer("/rpc/api", "no XML");
  CHECK(run->WaitForCount(
      R"(prometheus_sd_refresh_failures_total{mechanism="uyuni",config="j"})",
      3));
}

TEST_CASE("a login that uyuni refuses is a failure") {
  ProviderServer server;
  server.Handle("/rpc/api", Serve);
  CHECK(RunProvider(ConfigFor(server, "wrong"))->WaitForFailure("uyuni"));
}

TEST_CASE("uyuni configs are checked and printed") {
  CHECK(PrintedConfig(ParseConfig<UyuniConfig>(
            "{server: 'https://h', username: u, password: p}")) ==
        "server: https://h\nusername: u\npassword: <secret>\n"
        "follow_redirects: true\nenable_http2: true\n"
        "entitlement: monitoring_entitled\nseparator: ','\n"
        "refresh_interval: 1m\n");
  CHECK_THAT(ConfigError<UyuniConfig>("{}"),
             Catch::EndsWith("requires server host"));
  CHECK_THAT(ConfigError<UyuniConfig>("{server: h}"),
             Catch::EndsWith("requires a username"));
  CHECK_THAT(ConfigError<UyuniConfig>("{server: h, username: u}"),
             Catch::EndsWith("requires a password"));
}

}  // namespace
}  // namespace narthex::discovery
