#include "libs/discovery/openstack.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"

namespace narthex::discovery {
namespace {

constexpr char kPrefix[] = "__meta_openstack_";

/// Identity, compute, network and load balancers at one address.
class FakeOpenstack {
 public:
  FakeOpenstack() {
    nlohmann::json catalog = nlohmann::json::array();
    for (const auto& [type, path] :
         std::map<std::string, std::string>{{"compute", "/compute"},
                                            {"network", "/network/"},
                                            {"load-balancer", "/lb"}}) {
      catalog.push_back({{"type", type},
                         {"endpoints",
                          {{{"interface", "public"},
                            {"region_id", "elsewhere"},
                            {"url", "http://127.0.0.1:1"}},
                           {{"interface", "admin"},
                            {"region_id", "r"},
                            {"url", "http://127.0.0.1:1"}},
                           {{"interface", "public"},
                            {"region_id", "r"},
                            {"url", server.Url(path)}}}}});
    }
    const std::string body =
        nlohmann::json{{"token", {{"catalog", catalog}}}}.dump();
    server.Handle("/v3/auth/tokens",
                  [body](const http::Request&, http::Response& response) {
                    response.headers().Set("X-Subject-Token", "tok");
                    response.Send(201, "application/json", body);
                  });
    server.Answer("/network/v2.0/ports", R"({"ports": [
      {"id": "p1", "device_id": "s1"}, {"id": "p2", "device_id": "x"}]})");
    server.Answer("/network/v2.0/floatingips", R"({"floatingips": [
      {"port_id": "p1", "fixed_ip_address": "10.0.0.1",
       "floating_ip_address": "1.1.1.1"},
      {"port_id": "vip", "fixed_ip_address": "10.0.0.7",
       "floating_ip_address": "1.1.1.7"},
      {"port_id": null, "fixed_ip_address": null,
       "floating_ip_address": "1.1.1.2"}]})");
  }

  std::unique_ptr<ProviderRun> Run(const std::string& text) const {
    return RunProvider(ParseConfig<OpenstackConfig>(
        "{identity_endpoint: '" + server.Url("/") +
        "', region: r, refresh_interval: 50ms, username: u, password: p, "
        "domain_name: d, project_name: pr, " +
        text + "}"));
  }
  /// What the last request for a token held.
  nlohmann::json Auth() const {
    return nlohmann::json::parse(server.Last("/v3/auth/tokens").body)
        .at("auth");
  }

  ProviderServer server;
};

TEST_CASE("openstack discovery finds instances in all pages") {
  FakeOpenstack cloud;
  const std::string next = cloud.server.Url("/compute/more");
  cloud.server.Answer("/compute/servers/detail", R"({"servers": [
      {"id": "s1", "name": "web", "status": "ACTIVE", "tenant_id": "t",
       "user_id": "us", "flavor": {"id": "f1"}, "image": {"id": "i1"},
       "metadata": {"a-b": "c"},
       "addresses": {"net": [{"addr": "10.0.0.1"}, {"addr": "1.1.1.1"}],
                     "six": [{"addr": "fd00::1"}]}},
      {"id": "s0", "flavor": {}, "addresses": {"n": [{"addr": "9.9.9.9"}]}}],
    "servers_links": [{"rel": "next", "href": ")" + next +
                                                     "\"}]}");
  cloud.server.Answer("/compute/more", R"({"servers": [
      {"id": "s2", "name": "db", "status": "ERROR", "tenant_id": "t",
       "user_id": "us", "flavor": {"original_name": "big"}, "image": "",
       "addresses": {"net": [{"addr": "10.0.0.2"}]}}]})");
  const auto run = cloud.Run("role: instance, port: 9100, all_tenants: true");
  const std::map<std::string, std::string> first = {
      {"instance_id", "s1"},
      {"instance_name", "web"},
      {"instance_status", "ACTIVE"},
      {"instance_flavor", "f1"},
      {"instance_image", "i1"},
      {"project_id", "t"},
      {"user_id", "us"},
      {"tag_a_b", "c"}};
  auto inside = first;
  inside.insert({{"address_pool", "net"},
                 {"private_ip", "10.0.0.1"},
                 {"public_ip", "1.1.1.1"}});
  auto six = first;
  six.insert({{"address_pool", "six"}, {"private_ip", "fd00::1"}});
  const std::vector<std::string> wanted = {
      Printed("10.0.0.1:9100", kPrefix, inside),
      Printed("[fd00::1]:9100", kPrefix, six),
      Printed("10.0.0.2:9100", kPrefix,
              {{"instance_id", "s2"},
               {"instance_name", "db"},
               {"instance_status", "ERROR"},
               {"instance_flavor", "big"},
               {"project_id", "t"},
               {"user_id", "us"},
               {"address_pool", "net"},
               {"private_ip", "10.0.0.2"}})};
  CHECK(run->WaitFor(wanted));
  CHECK(run->sources() == std::set<std::string>{"OS_r"});
  CHECK(
      cloud.server.LastHeaders("/compute/servers/detail").Get("X-Auth-Token") ==
      "tok");
  CHECK(
      cloud.server.Last("/compute/servers/detail").params.Get("all_tenants") ==
      "true");
  CHECK(cloud.Auth() ==
        nlohmann::json::parse(
            R"({"identity": {"methods": ["password"], "password":
          {"user": {"name": "u", "domain": {"name": "d"}, "password": "p"}}},
          "scope": {"project": {"name": "pr", "domain": {"name": "d"}}}})"));

  cloud.server.Answer("/v3/auth/tokens", "{}", 401);
  CHECK(run->WaitForFailure("openstack"));
  CHECK(run->WaitFor(wanted));
}

TEST_CASE("openstack discovery finds hypervisors") {
  FakeOpenstack cloud;
  cloud.server.Answer("/compute/os-hypervisors/detail", R"({"hypervisors": [
      {"id": 7, "hypervisor_hostname": "h", "host_ip": "10.0.0.3",
       "status": "enabled", "state": "up", "hypervisor_type": "QEMU"}]})");
  const auto run = cloud.Run(
      "role: hypervisor, application_credential_id: a, "
      "application_credential_secret: s");
  CHECK(run->WaitFor(Printed("10.0.0.3:80", kPrefix,
                             {{"hypervisor_id", "7"},
                              {"hypervisor_hostname", "h"},
                              {"hypervisor_host_ip", "10.0.0.3"},
                              {"hypervisor_status", "enabled"},
                              {"hypervisor_state", "up"},
                              {"hypervisor_type", "QEMU"}})));
  CHECK(cloud.Auth() ==
        nlohmann::json::parse(
            R"({"identity": {"methods": ["application_credential"],
          "application_credential": {"id": "a", "secret": "s"}}})"));
}

TEST_CASE("openstack discovery finds load balancers with such a listener") {
  FakeOpenstack cloud;
  cloud.server.Answer("/lb/v2.0/lbaas/listeners", R"({"listeners": [
      {"protocol": "HTTP", "protocol_port": 80,
       "loadbalancers": [{"id": "l1"}, {"id": "l2"}]},
      {"protocol": "PROMETHEUS", "protocol_port": 8088,
       "loadbalancers": [{"id": "l1"}]}]})");
  cloud.server.Answer("/lb/v2.0/lbaas/loadbalancers", R"({"loadbalancers": [
      {"id": "l1", "name": "n", "operating_status": "ONLINE",
       "provisioning_status": "ACTIVE", "availability_zone": "az",
       "vip_address": "10.0.0.7", "vip_port_id": "vip", "provider": "octavia",
       "project_id": "t", "tags": ["x", "y"]},
      {"id": "l2", "vip_address": "10.0.0.8"}]})");
  const auto run = cloud.Run("role: loadbalancer");
  CHECK(run->WaitFor(Printed("10.0.0.7:8088", kPrefix,
                             {{"loadbalancer_id", "l1"},
                              {"loadbalancer_name", "n"},
                              {"loadbalancer_operating_status", "ONLINE"},
                              {"loadbalancer_provisioning_status", "ACTIVE"},
                              {"loadbalancer_availability_zone", "az"},
                              {"loadbalancer_vip", "10.0.0.7"},
                              {"loadbalancer_provider", "octavia"},
                              {"loadbalancer_tags", "x,y"},
                              {"loadbalancer_floating_ip", "1.1.1.7"},
                              {"project_id", "t"}})));
}

TEST_CASE("openstack discovery takes credentials from the environment") {
  FakeOpenstack cloud;
  cloud.server.Answer("/compute/os-hypervisors/detail",
                      R"({"hypervisors": [{"host_ip": "10.0.0.3"}]})");
  setenv("OS_AUTH_URL", cloud.server.Url("/v3").c_str(), 1);
  setenv("OS_USERID", "uid", 1);
  setenv("OS_PASSWORD", "p", 1);
  setenv("OS_PROJECT_ID", "pid", 1);
  const auto run = RunProvider(ParseConfig<OpenstackConfig>(
      "{region: r, role: hypervisor, refresh_interval: 50ms}"));
  CHECK(run->WaitFor(
      Printed("10.0.0.3:80", kPrefix, {{"hypervisor_host_ip", "10.0.0.3"}})));
  CHECK(cloud.Auth() ==
        nlohmann::json::parse(
            R"({"identity": {"methods": ["password"], "password":
          {"user": {"id": "uid", "password": "p"}}},
          "scope": {"project": {"id": "pid"}}})"));
  for (const char* name :
       {"OS_AUTH_URL", "OS_USERID", "OS_PASSWORD", "OS_PROJECT_ID"}) {
    unsetenv(name);
  }
  CHECK(RunProvider(ParseConfig<OpenstackConfig>("{region: r, role: instance}"))
            ->WaitForFailure("openstack"));
}

TEST_CASE("openstack discovery configs are checked and printed") {
  CHECK(PrintedConfig(ParseConfig<OpenstackConfig>(
            "{role: instance, region: r, password: x}")) ==
        "identity_endpoint: \"\"\nusername: \"\"\nuserid: \"\"\n"
        "password: <secret>\nproject_name: \"\"\nproject_id: \"\"\n"
        "domain_name: \"\"\ndomain_id: \"\"\n"
        "application_credential_name: \"\"\napplication_credential_id: \"\"\n"
        "application_credential_secret: null\nrole: instance\nregion: r\n"
        "refresh_interval: 1m\nport: 80\navailability: public\n");
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"{role: x, region: r}", "unknown OpenStack SD role \"x\""},
      {"region: r",
       "role missing (one of: instance, hypervisor, loadbalancer)"},
      {"role: instance", "openstack SD configuration requires a region"},
      {"{role: instance, region: r, availability: x}",
       "unknown availability x, must be one of admin, internal or public"},
  };
  for (const auto& [text, reason] : rows) {
    INFO(text);
    CHECK_THAT(ConfigError<OpenstackConfig>(text), Catch::EndsWith(reason));
  }
}

}  // namespace
}  // namespace narthex::discovery
