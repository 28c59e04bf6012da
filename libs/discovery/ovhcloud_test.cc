#include "libs/discovery/ovhcloud.h"

#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"

namespace narthex::discovery {
namespace {

OvhCloudConfig ConfigFor(const ProviderServer& server,
                         const std::string& service) {
  return ParseConfig<OvhCloudConfig>(
      "{application_key: k, application_secret: s, consumer_key: c, "
      "refresh_interval: 10ms, endpoint: '" +
      server.Url("/1.0") + "', service: " + service + "}");
}

TEST_CASE("ovhcloud's virtual servers are found") {
  ProviderServer server;
  server.Answer("/1.0/auth/time", "1700000000");
  server.Answer("/1.0/vps", R"(["abc", "gone", "odd"])");
  server.Answer("/1.0/vps/abc", R"({"name": "abc", "state": "running",
      "zone": "Region OpenStack", "displayName": "d", "cluster": "",
      "netbootMode": "local", "memoryLimit": 2048, "offerType": "ssd",
      "vcore": 1, "model": {"name": "vps-1", "offer": "VPS 1", "vcore": 1,
        "version": "2019v1", "disk": 40, "memory": 2048,
        "maximumAdditionnalIp": 16, "datacenter": ["a", "b"]}})");
  server.Answer("/1.0/vps/abc/ips",
                R"(["192.0.2.1", "2001:0DB8:0::1", "192.0.2.0/24"])");
  server.Answer("/1.0/vps/odd", "{}");
  server.Answer("/1.0/vps/odd/ips", R"(["no address"])");
  const auto run = RunProvider(ConfigFor(server, "vps"));
  const std::string wanted =
      Printed(model::LabelsBuilder()
                  .Set("__address__", "192.0.2.1")
                  .Set("instance", "abc")
                  .Set("__meta_ovhcloud_vps_datacenter", "[a b]")
                  .Set("__meta_ovhcloud_vps_disk", "40")
                  .Set("__meta_ovhcloud_vps_display_name", "d")
                  .Set("__meta_ovhcloud_vps_ipv4", "192.0.2.1")
                  .Set("__meta_ovhcloud_vps_ipv6", "2001:db8::1")
                  .Set("__meta_ovhcloud_vps_maximum_additional_ip", "16")
                  .Set("__meta_ovhcloud_vps_memory", "2048")
                  .Set("__meta_ovhcloud_vps_memory_limit", "2048")
                  .Set("__meta_ovhcloud_vps_model_name", "vps-1")
                  .Set("__meta_ovhcloud_vps_model_vcore", "1")
                  .Set("__meta_ovhcloud_vps_name", "abc")
                  .Set("__meta_ovhcloud_vps_netboot_mode", "local")
                  .Set("__meta_ovhcloud_vps_offer", "VPS 1")
                  .Set("__meta_ovhcloud_vps_offer_type", "ssd")
                  .Set("__meta_ovhcloud_vps_state", "running")
                  .Set("__meta_ovhcloud_vps_vcore", "1")
                  .Set("__meta_ovhcloud_vps_version", "2019v1")
                  .Set("__meta_ovhcloud_vps_zone", "Region OpenStack")
                  .Build());
  CHECK(run->WaitFor(wanted));
  CHECK(run->sources() == std::set<std::string>{"ovhcloud_vps"});
  const http::Headers headers = server.LastHeaders("/1.0/vps");
  CHECK(headers.Get("X-Ovh-Application") == "k");
  CHECK(headers.Get("X-Ovh-Consumer") == "c");
  // The server's clock goes, not ours.
  CHECK_THAT(std::string(headers.Get("X-Ovh-Timestamp")),
             Catch::StartsWith("17000000"));
  CHECK_THAT(std::string(headers.Get("X-Ovh-Signature")),
             Catch::Matches("\\$1\\$[0-9a-f]{40}"));
  server.Answer("/1.0/vps", "{}", 403);
  CHECK(run->WaitForFailure("ovhcloud"));
  CHECK(run->WaitFor(wanted));
}

TEST_CASE("ovhcloud's dedicated servers are found") {
  ProviderServer server;
  server.Answer("/1.0/auth/time", "1700000000");
  server.Answer("/1.0/dedicated/server", R"(["a b"])");
  server.Answer("/1.0/dedicated/server/a+b", R"({"name": "a b",
      "state": "ok", "commercialRange": "Advance", "linkSpeed": 123,
      "rack": "T", "noIntervention": false, "os": "debian",
      "supportLevel": "pro", "serverId": 1234, "reverse": "r.",
      "datacenter": "gra3"})");
  server.Answer("/1.0/dedicated/server/a+b/ips", R"(["2001:db8::2"])");
  const auto run = RunProvider(ConfigFor(server, "dedicated_server"));
  const std::string prefix = "__meta_ovhcloud_dedicated_server_";
  CHECK(run->WaitFor(Printed(model::LabelsBuilder()
                                 .Set("__address__", "2001:db8::2")
                                 .Set("instance", "a b")
                                 .Set(prefix + "commercial_range", "Advance")
                                 .Set(prefix + "datacenter", "gra3")
                                 .Set(prefix + "ipv6", "2001:db8::2")
                                 .Set(prefix + "link_speed", "123")
                                 .Set(prefix + "name", "a b")
                                 .Set(prefix + "no_intervention", "false")
                                 .Set(prefix + "os", "debian")
                                 .Set(prefix + "rack", "T")
                                 .Set(prefix + "reverse", "r.")
                                 .Set(prefix + "server_id", "1234")
                                 .Set(prefix + "state", "ok")
                                 .Set(prefix + "support_level", "pro")
                                 .Build())));
}

TEST_CASE("ovhcloud configs are checked and printed") {
  const std::string keys =
      "application_key: k, application_secret: s, consumer_key: c";
  CHECK(PrintedConfig(
            ParseConfig<OvhCloudConfig>("{" + keys + ", service: vps}")) ==
        "endpoint: ovh-eu\napplication_key: k\napplication_secret: <secret>\n"
        "consumer_key: <secret>\nrefresh_interval: 1m\nservice: vps\n");
  const std::pair<std::string, const char*> rows[] = {
      {"{endpoint: ''}", "endpoint can not be empty"},
      {"{}", "application key can not be empty"},
      {"{application_key: k}", "application secret can not be empty"},
      {"{application_key: k, application_secret: s}",
       "consumer key can not be empty"},
      {"{" + keys + ", service: x}", "unknown service: x"}};
  for (const auto& [text, error] : rows) {
    CHECK_THAT(ConfigError<OvhCloudConfig>(text), Catch::EndsWith(error));
  }
  auto config = ParseConfig<OvhCloudConfig>(
      "{endpoint: ovh-xx, refresh_interval: 10ms, service: vps, " + keys + "}");
  CHECK(RunProvider(config)->WaitForFailure("ovhcloud"));
}

}  // namespace
}  // namespace narthex::discovery
