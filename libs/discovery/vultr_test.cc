#include "libs/discovery/vultr.h"

#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"

namespace narthex::discovery {
namespace {

TEST_CASE("vultr's instances are found on all pages") {
  ProviderServer server;
  server.Handle("/v2/instances",
                [](const http::Request& request, http::Response& response) {
                  const bool first = !request.params.Has("cursor");
                  response.Send(200, "application/json",
                                first ? R"({"instances": [
        {"id": "i1", "label": "l", "os": "Debian", "os_id": 477, "ram": 1024,
         "disk": 25, "main_ip": "192.0.2.1", "vcpu_count": 1, "region": "ams",
         "plan": "vc2", "allowed_bandwidth": 1000, "v6_main_ip": "2001:db8::1",
         "internal_ip": "10.0.0.1", "hostname": "h", "server_status": "ok",
         "features": ["ipv6"], "tags": ["a", "b"]}],
        "meta": {"links": {"next": "c=2"}}})"
                                      : R"({"instances": [
        {"id": "i2", "main_ip": "192.0.2.2"}],
        "meta": {"links": {"next": ""}}})");
                });
  auto config = ParseConfig<VultrConfig>("{refresh_interval: 10ms}");
  config.endpoint = server.Url("");
  const auto run = RunProvider(config);
  const ProviderRun::Targets wanted = {
      Printed("192.0.2.1:80", "__meta_vultr_instance_",
              {{"id", "i1"},
               {"label", "l"},
               {"os", "Debian"},
               {"os_id", "477"},
               {"region", "ams"},
               {"plan", "vc2"},
               {"main_ip", "192.0.2.1"},
               {"main_ipv6", "2001:db8::1"},
               {"internal_ip", "10.0.0.1"},
               {"hostname", "h"},
               {"server_status", "ok"},
               {"vcpu_count", "1"},
               {"ram_mb", "1024"},
               {"allowed_bandwidth_gb", "1000"},
               {"disk_gb", "25"},
               {"features", ",ipv6,"},
               {"tags", ",a,b,"}}),
      Printed("192.0.2.2:80", "__meta_vultr_instance_",
              {{"id", "i2"},
               {"main_ip", "192.0.2.2"},
               {"os_id", "0"},
               {"vcpu_count", "0"},
               {"ram_mb", "0"},
               {"allowed_bandwidth_gb", "0"},
               {"disk_gb", "0"}})};
  CHECK(run->WaitFor(wanted));
  server.Answer("/v2/instances", "{}");
  CHECK(run->WaitForFailure("vultr"));
  CHECK(run->WaitFor(wanted));
  CHECK(PrintedConfig(ParseConfig<VultrConfig>("{}")) ==
        "follow_redirects: true\nenable_http2: true\nrefresh_interval: 1m\n"
        "port: 80\n");
}

}  // namespace
}  // namespace narthex::discovery
