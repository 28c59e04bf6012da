#include "libs/discovery/linode.h"

#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"

namespace narthex::discovery {
namespace {

constexpr char kInstance[] = R"({
    "id": 7, "label": "l7", "group": "g", "status": "running", "type": "g6",
    "ipv4": ["192.0.2.1", "192.0.2.2", "10.0.0.1", "192.0.2.99"],
    "ipv6": "2001:db8::7/128", "image": "linode/arch", "region": "us-east",
    "specs": {"disk": 81920, "memory": 4096, "vcpus": 2, "gpus": 0,
              "transfer": 4000},
    "backups": {"enabled": true}, "hypervisor": "kvm", "tags": ["a", "b"]})";

TEST_CASE("linode's instances are found with their addresses") {
  ProviderServer server;
  server.Handle("/v4/linode/instances", [](const http::Request& request,
                                           http::Response& response) {
    const bool first = request.params.Get("page") == "1";
    response.Send(200, "application/json",
                  std::string(R"({"pages": 2, "data": [)") +
                      (first ? kInstance : R"({"id": 8, "ipv4": []})") + "]}");
  });
  server.Answer("/v4/networking/ips", R"({"pages": 1, "data": [
      {"address": "192.0.2.1", "public": true, "rdns": "one.example"},
      {"address": "192.0.2.2", "public": true, "rdns": "two.example"},
      {"address": "10.0.0.1", "public": false, "rdns": "null"},
      {"address": "2001:db8::7", "public": true, "rdns": "six.example"}]})");
  server.Answer("/v4/networking/ipv6/ranges", R"({"pages": 1, "data": [
      {"range": "2001:db8:1::", "prefix": 64, "route_target": "2001:db8::7"},
      {"range": "2001:db8:2::", "prefix": 64, "route_target": "other"}]})");
  auto config = ParseConfig<LinodeConfig>(
      "{refresh_interval: 10ms, region: us-east, tag_separator: ';'}");
  config.endpoint = server.Url("");
  const auto run = RunProvider(config);
  const std::string wanted = Printed("192.0.2.1:80", "__meta_linode_",
                                     {{"instance_id", "7"},
                                      {"instance_label", "l7"},
                                      {"image", "linode/arch"},
                                      {"private_ipv4", "10.0.0.1"},
                                      {"public_ipv4", "192.0.2.1"},
                                      {"public_ipv4_rdns", "one.example"},
                                      {"public_ipv6", "2001:db8::7"},
                                      {"public_ipv6_rdns", "six.example"},
                                      {"region", "us-east"},
                                      {"type", "g6"},
                                      {"status", "running"},
                                      {"tags", ";a;b;"},
                                      {"group", "g"},
                                      {"gpus", "0"},
                                      {"hypervisor", "kvm"},
                                      {"backups", "enabled"},
                                      {"specs_disk_bytes", "85899345920"},
                                      {"specs_memory_bytes", "4294967296"},
                                      {"specs_vcpus", "2"},
                                      {"specs_transfer_bytes", "4194304000"},
                                      {"extra_ips", ";192.0.2.2;"},
                                      {"ipv6_ranges", ";2001:db8:1::/64;"}});
  CHECK(run->WaitFor(wanted));
  CHECK(server.LastHeaders("/v4/networking/ips").Get("X-Filter") ==
        R"({"region":"us-east"})");
  server.Answer("/v4/networking/ips", "no", 500);
  CHECK(run->WaitForFailure("linode"));
  CHECK(run->WaitForCount("prometheus_sd_linode_failures_total", 1));
  CHECK(run->WaitFor(wanted));
  CHECK(PrintedConfig(ParseConfig<LinodeConfig>("{region: r}")) ==
        "follow_redirects: true\nenable_http2: true\nrefresh_interval: 1m\n"
        "port: 80\ntag_separator: ','\nregion: r\n");
}

}  // namespace
}  // namespace narthex::discovery
