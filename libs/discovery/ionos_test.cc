#include "libs/discovery/ionos.h"

#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"

namespace narthex::discovery {
namespace {

TEST_CASE("ionos' servers with an address are found") {
  const std::string path = "/cloudapi/v6/datacenters/dc 1/servers";
  ProviderServer server;
  server.Answer(path, R"({"id": "dc1/servers", "items": [
    {"id": "s1", "metadata": {"state": "AVAILABLE"},
     "properties": {"name": "n", "availabilityZone": "ZONE_1",
       "vmState": "RUNNING", "cpuFamily": "INTEL", "type": "ENTERPRISE",
       "bootCdrom": null, "bootVolume": {"id": "v1"}},
     "entities": {
       "volumes": {"items": [{"properties": {"image": "im"}}]},
       "nics": {"items": [
         {"properties": {"name": "first nic", "ips": ["192.0.2.1"]}},
         {"properties": {"ips": ["192.0.2.2", "192.0.2.3"]}}, {}]}}},
    {"id": "s2", "entities": {"nics": {"items": [{"properties": {}}]}}}]})");
  auto config = ParseConfig<IonosConfig>(
      "{refresh_interval: 10ms, datacenter_id: 'dc 1', port: 9100}");
  config.endpoint = server.Url("");
  const auto run = RunProvider(config);
  const std::string wanted =
      Printed("192.0.2.2:9100", "__meta_ionos_server_",
              {{"ip", ",192.0.2.2,192.0.2.3,192.0.2.1,"},
               {"availability_zone", "ZONE_1"},
               {"cpu_family", "INTEL"},
               {"servers_id", "dc1/servers"},
               {"id", "s1"},
               {"lifecycle", "AVAILABLE"},
               {"name", "n"},
               {"state", "RUNNING"},
               {"type", "ENTERPRISE"},
               {"boot_volume_id", "v1"},
               {"boot_image_id", "im"},
               {"nic_ip_first_nic", ",192.0.2.1,"},
               {"nic_ip_unnamed", ",192.0.2.2,192.0.2.3,"}});
  CHECK(run->WaitFor(wanted));
  CHECK(server.Last(path).raw_query == "depth=3");
  server.Answer(path, "[]");
  CHECK(run->WaitForFailure("ionos"));
  CHECK(run->WaitFor(wanted));
  CHECK(PrintedConfig(ParseConfig<IonosConfig>("{datacenter_id: d}")) ==
        "datacenter_id: d\nfollow_redirects: true\nenable_http2: true\n"
        "refresh_interval: 1m\nport: 80\n");
  CHECK_THAT(ConfigError<IonosConfig>("{}"),
             Catch::EndsWith("datacenter id can't be empty"));
}

}  // namespace
}  // namespace narthex::discovery
