#include "libs/discovery/hetzner.h"

#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"

namespace narthex::discovery {
namespace {

HetznerConfig ConfigFor(const ProviderServer& server, const std::string& more) {
  auto config = ParseConfig<HetznerConfig>(
      "{refresh_interval: 10ms, port: 9100, " + more + "}");
  config.cloud_endpoint = server.Url("/v1");
  config.robot_endpoint = server.Url("/robot");
  return config;
}

constexpr char kServer[] = R"({
    "id": 1, "name": "s1", "status": "running",
    "public_net": {"ipv4": {"ip": "192.0.2.1"}, "ipv6": {"ip": "2001:db8::/64"}},
    "server_type": {"name": "cx22", "cores": 2, "cpu_type": "shared",
                    "memory": 4.0, "disk": 40},
    "datacenter": {"name": "fsn1-dc14",
                   "location": {"name": "fsn1", "network_zone": "eu-central"}},
    "image": {"name": "debian-12", "description": "Debian 12",
              "os_version": "12", "os_flavor": "debian"},
    "private_net": [{"network": 5, "ip": "10.0.0.1"},
                    {"network": 6, "ip": "10.1.0.1"}],
    "labels": {"my.key": "v", "empty": ""}})";

TEST_CASE("hetzner's virtual machines are found on all pages") {
  ProviderServer server;
  server.Handle("/v1/servers", [](const http::Request& request,
                                  http::Response& response) {
    const bool first = request.params.Get("page") == "1";
    response.Send(200, "application/json",
                  first
                      ? std::string(R"({"servers": [)") + kServer +
                            R"(], "meta": {"pagination": {"next_page": 2}}})"
                      : R"({"servers": [{"id": 2, "location": {"name": "hel1"},
                   "public_net": {"ipv4": {"ip": "192.0.2.2"}}}],
                   "meta": {"pagination": {"next_page": null}}})");
  });
  server.Answer("/v1/networks",
                R"({"networks": [{"id": 5, "name": "my-net"}]})");
  const auto run = RunProvider(
      ConfigFor(server, "role: hcloud, label_selector: 'env in (a,b)'"));
  CHECK(run->WaitFor(
      {Printed("192.0.2.1:9100", "__meta_hetzner_",
               {{"role", "hcloud"},
                {"server_id", "1"},
                {"server_name", "s1"},
                {"server_status", "running"},
                {"datacenter", "fsn1-dc14"},
                {"public_ipv4", "192.0.2.1"},
                {"public_ipv6_network", "2001:db8::/64"},
                {"hcloud_location", "fsn1"},
                {"hcloud_location_network_zone", "eu-central"},
                {"hcloud_datacenter_location", "fsn1"},
                {"hcloud_datacenter_location_network_zone", "eu-central"},
                {"hcloud_server_type", "cx22"},
                {"hcloud_cpu_cores", "2"},
                {"hcloud_cpu_type", "shared"},
                {"hcloud_memory_size_gb", "4"},
                {"hcloud_disk_size_gb", "40"},
                {"hcloud_image_name", "debian-12"},
                {"hcloud_image_description", "Debian 12"},
                {"hcloud_image_os_version", "12"},
                {"hcloud_image_os_flavor", "debian"},
                {"hcloud_private_ipv4_my_net", "10.0.0.1"},
                {"hcloud_labelpresent_my_key", "true"},
                {"hcloud_label_my_key", "v"},
                {"hcloud_labelpresent_empty", "true"}}),
       Printed("192.0.2.2:9100", "__meta_hetzner_",
               {{"role", "hcloud"},
                {"server_id", "2"},
                {"public_ipv4", "192.0.2.2"},
                {"hcloud_location", "hel1"},
                {"hcloud_datacenter_location", "hel1"},
                {"hcloud_cpu_cores", "0"},
                {"hcloud_memory_size_gb", "0"},
                {"hcloud_disk_size_gb", "0"}})}));
  CHECK(server.Last("/v1/servers").params.Get("label_selector") ==
        "env in (a,b)");
  server.Answer("/v1/networks", "[]");
  CHECK(run->WaitForFailure("hetzner"));
  CHECK(run->sources() == std::set<std::string>{"hetzner"});
}

TEST_CASE("hetzner's dedicated machines are found") {
  ProviderServer server;
  server.Answer("/robot/server", R"([{"server": {
      "server_ip": "192.0.2.3", "server_number": 3, "server_name": "s3",
      "dc": "NBG1-DC1", "status": "ready", "product": "AX41",
      "cancelled": false, "subnet": [{"ip": "192.0.2.9", "mask": "29"},
        {"ip": "2001:db8:3::", "mask": "64"}]}}])");
  CHECK(RunProvider(ConfigFor(server, "role: robot"))
            ->WaitFor(Printed("192.0.2.3:9100", "__meta_hetzner_",
                              {{"role", "robot"},
                               {"server_id", "3"},
                               {"server_name", "s3"},
                               {"server_status", "ready"},
                               {"datacenter", "nbg1-dc1"},
                               {"public_ipv4", "192.0.2.3"},
                               {"public_ipv6_network", "2001:db8:3::/64"},
                               {"robot_datacenter", "nbg1-dc1"},
                               {"robot_product", "AX41"},
                               {"robot_cancelled", "false"}})));
}

TEST_CASE("hetzner configs are checked and printed") {
  CHECK(PrintedConfig(ParseConfig<HetznerConfig>("{role: robot}")) ==
        "follow_redirects: true\nenable_http2: true\nrefresh_interval: 1m\n"
        "port: 80\nrole: robot\n");
  CHECK_THAT(ConfigError<HetznerConfig>("{}"),
             Catch::EndsWith("role missing (one of: robot, hcloud)"));
  CHECK_THAT(ConfigError<HetznerConfig>("{role: x}"),
             Catch::EndsWith("unknown role \"x\""));
}

}  // namespace
}  // namespace narthex::discovery
