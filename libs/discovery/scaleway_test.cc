#include "libs/discovery/scaleway.h"

#include "libs/base/file.h"
#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"

namespace narthex::discovery {
namespace {

std::string ConfigFor(const ProviderServer& server, const std::string& more) {
  return "{project_id: p, access_key: a, api_url: '" + server.Url("") +
         "', refresh_interval: 10ms, port: 9100, " + more + "}";
}

constexpr char kInstances[] = R"({"servers": [
  {"id": "i1", "name": "n1", "hostname": "h1", "organization": "o",
   "project": "p", "commercial_type": "DEV1-S", "boot_type": "local",
   "state": "running", "zone": "fr-par-1", "tags": ["a", "b"],
   "image": {"id": "im", "name": "debian", "arch": "x86_64"},
   "location": {"cluster_id": "c", "hypervisor_id": "hv", "node_id": "no"},
   "security_group": {"id": "sg", "name": "default"},
   "ipv6": {"address": "2001:db8::1"},
   "public_ip": {"address": "192.0.2.1", "family": "inet"},
   "public_ips": [{"address": "192.0.2.1", "family": "inet"},
                  {"address": "2001:db8::1", "family": "inet6"}],
   "private_ip": "10.0.0.1"},
  {"id": "i2", "zone": "nl-ams-2", "private_nics": [{"id": "x"}, {"id": "n"}]},
  {"id": "i3", "zone": "nl-ams-2"}]})";

TEST_CASE("scaleway's instances are found at their nearest address") {
  ProviderServer server;
  const std::string path = "/instance/v1/zones/fr-par-1/servers";
  server.Answer(path, kInstances);
  server.Answer("/ipam/v1/regions/nl-ams/ips", R"({"ips": [
      {"address": "fd00::2/64", "is_ipv6": true, "resource": {"id": "n"}},
      {"address": "10.0.0.2/22", "is_ipv6": false, "resource": {"id": "n"}}]})");
  base::TemporaryDirectory directory;
  REQUIRE(base::WriteFileAtomically(directory.path() + "/key", "k\n").ok());
  auto config = ParseConfig<ScalewayConfig>(
      ConfigFor(server,
                "role: instance, secret_key_file: key, name_filter: 'n 1', "
                "tags_filter: [a, b]"));
  SetDirectory(directory.path(), &config);
  const auto run = RunProvider(config);
  const ProviderRun::Targets wanted = {
      Printed("10.0.0.1:9100", "__meta_scaleway_instance_",
              {{"id", "i1"},
               {"name", "n1"},
               {"hostname", "h1"},
               {"organization_id", "o"},
               {"project_id", "p"},
               {"type", "DEV1-S"},
               {"boot_type", "local"},
               {"status", "running"},
               {"zone", "fr-par-1"},
               {"region", "fr-par"},
               {"tags", ",a,b,"},
               {"image_id", "im"},
               {"image_name", "debian"},
               {"image_arch", "x86_64"},
               {"location_cluster_id", "c"},
               {"location_hypervisor_id", "hv"},
               {"location_node_id", "no"},
               {"security_group_id", "sg"},
               {"security_group_name", "default"},
               {"public_ipv4", "192.0.2.1"},
               {"public_ipv6", "2001:db8::1"},
               {"public_ipv4_addresses", ",192.0.2.1,"},
               {"public_ipv6_addresses", ",2001:db8::1,"},
               {"private_ipv4", "10.0.0.1"}}),
      Printed("10.0.0.2:9100", "__meta_scaleway_instance_",
              {{"id", "i2"},
               {"zone", "nl-ams-2"},
               {"region", "nl-ams"},
               {"private_ipv4", "10.0.0.2"}})};
  CHECK(run->WaitFor(wanted));
  CHECK(server.LastHeaders(path).Get("X-Auth-Token") == "k");
  CHECK(server.Last(path).params.Get("tags") == "a,b");
  CHECK(server.Last(path).params.Get("name") == "n 1");
  CHECK(server.Last("/ipam/v1/regions/nl-ams/ips")
            .params.GetAll("resource_ids") ==
        std::vector<std::string>{"x", "n"});
  server.Answer(path, "no", 403);
  CHECK(run->WaitForFailure("scaleway"));
  CHECK(run->WaitFor(wanted));
}

TEST_CASE("scaleway's bare machines are found with what runs on them") {
  ProviderServer server;
  const std::string zone = "/baremetal/v1/zones/fr-par-2/";
  server.Answer(zone + "servers", R"({"servers": [
      {"id": "b1", "name": "n", "zone": "fr-par-2", "status": "ready",
       "project_id": "p", "offer_id": "o1", "install": {"os_id": "s1"},
       "tags": ["t"], "ips": [{"address": "2001:db8::1", "version": "IPv6"},
                              {"address": "192.0.2.1", "version": "IPv4"}]},
      {"id": "b2", "ips": [{"address": "2001:db8::2", "version": "IPv6"}]}]})");
  server.Answer(zone + "offers", R"({"offers": [{"id": "o1", "name": "GP"}]})");
  server.Answer(zone + "os",
                R"({"os": [{"id": "s1", "name": "Debian", "version": "12"}]})");
  CHECK(
      RunProvider(
          ParseConfig<ScalewayConfig>(ConfigFor(
              server, "role: baremetal, zone: fr-par-2, secret_key: k")))
          ->WaitFor({Printed("192.0.2.1:9100", "__meta_scaleway_baremetal_",
                             {{"id", "b1"},
                              {"name", "n"},
                              {"zone", "fr-par-2"},
                              {"status", "ready"},
                              {"project_id", "p"},
                              {"type", "GP"},
                              {"os_name", "Debian"},
                              {"os_version", "12"},
                              {"tags", ",t,"},
                              {"public_ipv4", "192.0.2.1"},
                              {"public_ipv6", "2001:db8::1"}}),
                     Printed("[2001:db8::2]:9100", "__meta_scaleway_baremetal_",
                             {{"id", "b2"}, {"public_ipv6", "2001:db8::2"}})}));
}

TEST_CASE("scaleway configs are checked and printed") {
  CHECK(PrintedConfig(ParseConfig<ScalewayConfig>(
            "{role: instance, project_id: p, access_key: a, secret_key: s}")) ==
        "project_id: p\napi_url: https://api.scaleway.com\nzone: fr-par-1\n"
        "access_key: a\nsecret_key: <secret>\nsecret_key_file: \"\"\n"
        "follow_redirects: true\nenable_http2: true\nrefresh_interval: 1m\n"
        "port: 80\nrole: instance\n");
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"{}", "role missing (one of: instance, baremetal)"},
      {"{role: x}", "unknown role \"x\""},
      {"{role: instance}", "project_id is mandatory"},
      {"{role: instance, project_id: p}",
       "one of secret_key & secret_key_file must be configured"},
      {"{role: instance, project_id: p, secret_key: a, secret_key_file: b}",
       "at most one of secret_key & secret_key_file must be configured"},
      {"{role: instance, project_id: p, secret_key: a}",
       "access_key is mandatory"},
  };
  for (const auto& [text, reason] : rows) {
    INFO(text);
    CHECK_THAT(ConfigError<ScalewayConfig>(text), Catch::EndsWith(reason));
  }
}

}  // namespace
}  // namespace narthex::discovery
