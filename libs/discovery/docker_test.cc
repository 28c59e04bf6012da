#include "libs/discovery/docker.h"

#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"

namespace narthex::discovery {
namespace {

constexpr char kNetworks[] = R"([
  {"Id": "n1", "Name": "bridge", "Scope": "local", "Internal": false,
   "Ingress": false, "Labels": {"a.b": "c"}},
  {"Id": "n2", "Name": "other", "Scope": "local", "Internal": true,
   "Labels": null}])";

/// A running container with these ports and networks.
std::string Container(const std::string& id, const std::string& mode,
                      const std::string& ports, const std::string& networks) {
  return R"({"Id": ")" + id + R"(", "Names": ["/)" + id +
         R"("], "Image": "i:1", "ImageID": "sha", "Labels": {"x-y": "z"},
         "HostConfig": {"NetworkMode": ")" +
         mode + R"("}, "Ports": [)" + ports +
         R"(], "NetworkSettings": {"Networks": {)" + networks + "}}}";
}

std::map<std::string, std::string> Labels(
    const std::string& id, const std::string& mode,
    std::map<std::string, std::string> more) {
  more.insert({{"container_id", id},
               {"container_name", "/" + id},
               {"container_image", "i:1"},
               {"container_image_id", "sha"},
               {"container_network_mode", mode},
               {"container_label_x_y", "z"}});
  if (more["network_id"] == "n1") {
    more.insert({{"network_name", "bridge"},
                 {"network_scope", "local"},
                 {"network_internal", "false"},
                 {"network_ingress", "false"},
                 {"network_label_a_b", "c"}});
  } else if (more["network_id"] == "n2") {
    more.insert({{"network_name", "other"},
                 {"network_scope", "local"},
                 {"network_internal", "true"},
                 {"network_ingress", "false"}});
  }
  return more;
}

std::string Found(const std::string& address, const std::string& id,
                  const std::string& mode,
                  const std::map<std::string, std::string>& more) {
  return Printed(address, "__meta_docker_", Labels(id, mode, more));
}

constexpr char kFirst[] =
    R"("bridge": {"NetworkID": "n1", "IPAddress": "10.0.0.2"})";
constexpr char kBoth[] =
    R"("other": {"NetworkID": "n2", "IPAddress": "10.1.0.2"},
       "bridge": {"NetworkID": "n1", "IPAddress": "10.0.0.2"})";
constexpr char kPorts[] =
    R"({"PrivatePort": 80, "PublicPort": 8080, "IP": "0.0.0.0", "Type": "tcp"},
       {"PrivatePort": 81, "Type": "tcp"}, {"PrivatePort": 53, "Type": "udp"})";

void Serve(ProviderServer* server, const std::string& containers) {
  server->Answer("/containers/json", "[" + containers + "]");
  server->Answer("/networks", kNetworks);
}

std::unique_ptr<ProviderRun> Run(const ProviderServer& server,
                                 const std::string& more = "") {
  return RunProvider(
      ParseConfig<DockerConfig>("{host: 'tcp://" + server.address() +
                                "', refresh_interval: 10ms" + more + "}"));
}

TEST_CASE("each tcp port of a container is a target") {
  ProviderServer server;
  Serve(&server, Container("c1", "bridge", kPorts, kFirst));
  const auto run = Run(server, ", filters: [{name: status, values: [up, x]}]");
  CHECK(run->WaitFor({Found("10.0.0.2:80", "c1", "bridge",
                            {{"network_id", "n1"},
                             {"network_ip", "10.0.0.2"},
                             {"port_private", "80"},
                             {"port_public", "8080"},
                             {"port_public_ip", "0.0.0.0"}}),
                      Found("10.0.0.2:81", "c1", "bridge",
                            {{"network_id", "n1"},
                             {"network_ip", "10.0.0.2"},
                             {"port_private", "81"}})}));
  CHECK(server.Last("/containers/json").params.Get("filters") ==
        R"({"status":{"up":true,"x":true}})");

  server.Answer("/networks", R"({"message": "no"})", 500);
  CHECK(run->WaitForFailure("docker"));
  CHECK(run->sources() == std::set<std::string>{"Docker"});
  Serve(&server, "");
  CHECK(run->WaitFor(ProviderRun::Targets{}));
}

TEST_CASE("containers without ports get the configured one") {
  ProviderServer server;
  Serve(&server,
        Container("c1", "bridge", "", kFirst) + "," +
            Container("h", "host", "",
                      R"("host": {"NetworkID": "n3", "IPAddress": ""})") +
            "," +
            Container("six", "x", "",
                      R"("x": {"NetworkID": "", "IPAddress": "",
                      "GlobalIPv6Address": "fd00::2"}, "y": null)") +
            "," + R"({"Id": "nameless", "Names": []})");
  const auto run = Run(server, ", port: 9, host_networking_host: me");
  CHECK(run->WaitFor(
      {Found("10.0.0.2:9", "c1", "bridge",
             {{"network_id", "n1"}, {"network_ip", "10.0.0.2"}}),
       Found("me", "h", "host", {}),
       Found("[fd00::2]:9", "six", "x", {{"network_ip", "fd00::2"}})}));
}

TEST_CASE("of several networks the first by name counts, or all") {
  ProviderServer server;
  Serve(&server, Container("c1", "bridge", "", kBoth));
  const std::string first =
      Found("10.0.0.2:80", "c1", "bridge",
            {{"network_id", "n1"}, {"network_ip", "10.0.0.2"}});
  const std::string second =
      Found("10.1.0.2:80", "c1", "bridge",
            {{"network_id", "n2"}, {"network_ip", "10.1.0.2"}});
  CHECK(Run(server)->WaitFor(first));
  CHECK(Run(server, ", match_first_network: false")->WaitFor({first, second}));
}

TEST_CASE("a container takes the networks of the one it shares them with") {
  ProviderServer server;
  Serve(&server, Container("c1", "bridge", "", kFirst) + "," +
                     Container("c2", "container:c1", "", "") + "," +
                     Container("c3", "container:c2", "", "") + "," +
                     Container("a", "container:b", "", "") + "," +
                     Container("b", "container:a", "", ""));
  const std::map<std::string, std::string> network = {
      {"network_id", "n1"}, {"network_ip", "10.0.0.2"}};
  CHECK(Run(server)->WaitFor(
      {Found("10.0.0.2:80", "c1", "bridge", network),
       Found("10.0.0.2:80", "c2", "container:c1", network),
       Found("10.0.0.2:80", "c3", "container:c2", network)}));
}

TEST_CASE("docker configs are checked and printed") {
  CHECK(PrintedConfig(ParseConfig<DockerConfig>(
            "{host: 'unix:///s', filters: [{name: a, values: [b]}]}")) ==
        "follow_redirects: true\nenable_http2: true\nhost: unix:///s\n"
        "port: 80\nfilters:\n- name: a\n  values:\n  - b\n"
        "host_networking_host: localhost\nrefresh_interval: 1m\n"
        "match_first_network: true\n");
  CHECK_THAT(ConfigError<DockerConfig>("{}"), Catch::EndsWith("host missing"));
}

}  // namespace
}  // namespace narthex::discovery
