#include "libs/discovery/triton.h"

#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"

namespace narthex::discovery {
namespace {

/// With the port of `server`.
TritonConfig ConfigFor(const ProviderServer& server, const std::string& more) {
  const std::string address = server.address();
  auto config = ParseConfig<TritonConfig>(
      "{account: a, dns_suffix: d.example, endpoint: 127.0.0.1, port: " +
      address.substr(address.find(':') + 1) + ", refresh_interval: 10ms" +
      more + "}");
  config.scheme = "http";
  return config;
}

TEST_CASE("triton's containers are found") {
  ProviderServer server;
  server.Answer("/v1/discover", R"({"containers": [
      {"groups": ["g", "h"], "server_uuid": "s", "vm_alias": "al",
       "vm_brand": "lx", "vm_image_uuid": "im", "vm_uuid": "vm"}]})");
  const auto run = RunProvider(ConfigFor(server, ", groups: [g, x]"));
  const std::string port = server.address().substr(9);
  const std::string wanted = Printed("vm.d.example" + port, "__meta_triton_",
                                     {{"machine_id", "vm"},
                                      {"machine_alias", "al"},
                                      {"machine_brand", "lx"},
                                      {"machine_image", "im"},
                                      {"server_id", "s"},
                                      {"groups", ",g,h,"}});
  CHECK(run->WaitFor(wanted));
  CHECK(server.Last("/v1/discover").raw_query == "groups=g%2Cx");
  server.Answer("/v1/discover", "{");
  CHECK(run->WaitForFailure("triton"));
  CHECK(run->WaitFor(wanted));
}

TEST_CASE("triton's compute nodes are found") {
  ProviderServer server;
  server.Answer("/v2/gz/discover", R"({"cns": [
      {"server_uuid": "u", "server_hostname": "h"}]})");
  CHECK(RunProvider(ConfigFor(server, ", role: cn, version: 2"))
            ->WaitFor(Printed("u.d.example" + server.address().substr(9),
                              "__meta_triton_",
                              {{"machine_id", "u"}, {"machine_alias", "h"}})));
}

TEST_CASE("triton configs are checked and printed") {
  CHECK(PrintedConfig(ParseConfig<TritonConfig>(
            "{account: a, dns_suffix: d, endpoint: e}")) ==
        "account: a\nrole: container\ndns_suffix: d\nendpoint: e\nport: 9163\n"
        "refresh_interval: 1m\nversion: 1\n");
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"{role: x}", "role to be 'container' or 'cn'"},
      {"{}", "an account"},
      {"{account: a}", "a dns_suffix"},
      {"{account: a, dns_suffix: d}", "an endpoint"},
      {"{account: a, dns_suffix: d, endpoint: e, refresh_interval: 0s}",
       "RefreshInterval to be a positive integer"},
  };
  for (const auto& [text, reason] : rows) {
    INFO(text);
    CHECK_THAT(ConfigError<TritonConfig>(text),
               Catch::EndsWith("triton SD configuration requires " + reason));
  }
}

}  // namespace
}  // namespace narthex::discovery
