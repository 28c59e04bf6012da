#include "libs/discovery/dockerswarm.h"

#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"

namespace narthex::discovery {
namespace {

using Labels = std::map<std::string, std::string>;

constexpr char kServices[] = R"([
  {"ID": "s1", "UpdateStatus": {"State": "completed"},
   "Spec": {"Name": "web", "Labels": {"a.b": "c"}, "Mode": {"Replicated": {}},
            "TaskTemplate": {"ContainerSpec": {"Image": "i", "Hostname": "h"}}},
   "Endpoint": {
     "Ports": [{"Name": "m", "Protocol": "tcp", "PublishedPort": 90,
                "PublishMode": "ingress"},
               {"Protocol": "udp", "PublishedPort": 53}],
     "VirtualIPs": [{"NetworkID": "n1", "Addr": "10.0.0.5/24"}]}},
  {"ID": "s2", "Spec": {"Name": "job", "Mode": {"Global": {}}},
   "Endpoint": {"VirtualIPs": [{"NetworkID": "no", "Addr": "10.0.0.6/24"}]}}])";

constexpr char kNodes[] = R"([
  {"ID": "node1",
   "Spec": {"Role": "manager", "Availability": "active", "Labels": {"r": "1"}},
   "Description": {"Hostname": "host1", "Engine": {"EngineVersion": "27"},
                   "Platform": {"Architecture": "x86_64", "OS": "linux"}},
   "Status": {"State": "ready", "Addr": "192.0.2.1"},
   "ManagerStatus": {"Leader": true, "Reachability": "reachable",
                     "Addr": "192.0.2.1:2377"}},
  {"ID": "node2", "Spec": {"Role": "worker"},
   "Status": {"State": "down", "Addr": "192.0.2.2"}}])";

constexpr char kTasks[] = R"([
  {"ID": "t1", "ServiceID": "s1", "NodeID": "node1", "Slot": 1,
   "DesiredState": "running", "Spec": {"ContainerSpec": {"Labels": {"k": "v"}}},
   "Status": {"State": "running", "ContainerStatus": {"ContainerID": "c1"},
              "PortStatus": {"Ports": [{"Protocol": "tcp", "PublishedPort": 70,
                                        "PublishMode": "host"}]}},
   "NetworksAttachments": [{"Network": {"ID": "n1"},
                            "Addresses": ["10.0.0.7/24"]}]},
  {"ID": "t2", "ServiceID": "s2", "NodeID": "gone", "Slot": 0,
   "DesiredState": "running", "Status": {"State": "failed", "PortStatus": {}},
   "NetworksAttachments": [{"Network": {"ID": "no"},
                            "Addresses": ["10.0.0.8/24"]}]}])";

constexpr char kNetworks[] =
    R"([{"Id": "n1", "Name": "net", "Scope": "swarm", "Ingress": true}])";

const Labels kNetworkLabels = {{"network_id", "n1"},
                               {"network_name", "net"},
                               {"network_scope", "swarm"},
                               {"network_internal", "false"},
                               {"network_ingress", "true"}};
const Labels kServiceLabels = {{"service_id", "s1"},
                               {"service_name", "web"},
                               {"service_mode", "replicated"},
                               {"service_label_a_b", "c"}};
const Labels kNodeLabels = {
    {"node_id", "node1"},          {"node_role", "manager"},
    {"node_address", "192.0.2.1"}, {"node_availability", "active"},
    {"node_hostname", "host1"},    {"node_platform_architecture", "x86_64"},
    {"node_platform_os", "linux"}, {"node_status", "ready"},
    {"node_label_r", "1"}};

std::string Found(const std::string& address,
                  const std::vector<Labels>& parts) {
  Labels all;
  for (const Labels& part : parts) all.insert(part.begin(), part.end());
  return Printed(address, "__meta_dockerswarm_", all);
}

struct Swarm {
  ProviderServer server;

  Swarm() {
    server.Answer("/services", kServices);
    server.Answer("/nodes", kNodes);
    server.Answer("/tasks", kTasks);
    server.Answer("/networks", kNetworks);
  }
  std::unique_ptr<ProviderRun> Run(const std::string& role) {
    return RunProvider(ParseConfig<DockerSwarmConfig>(
        "{host: '" + server.Url("") + "', role: " + role +
        ", refresh_interval: 10ms, filters: [{name: id, values: [x]}]}"));
  }
};

TEST_CASE("swarm services are found by address and published port") {
  Swarm swarm;
  const auto run = swarm.Run("services");
  CHECK(run->WaitFor(
      {Found("10.0.0.5:90",
             {kServiceLabels,
              kNetworkLabels,
              {{"service_task_container_hostname", "h"},
               {"service_task_container_image", "i"},
               {"service_updating_status", "completed"},
               {"service_endpoint_port_name", "m"},
               {"service_endpoint_port_publish_mode", "ingress"}}}),
       Found("10.0.0.6:80", {{{"service_id", "s2"},
                              {"service_name", "job"},
                              {"service_mode", "global"}}})}));
  CHECK(swarm.server.Last("/services").params.Get("filters") ==
        R"({"id":{"x":true}})");
  swarm.server.Answer("/services", "[", 200);
  CHECK(run->WaitForFailure("dockerswarm"));
  CHECK(run->sources().size() == 1);
  swarm.server.Answer("/services", "[]");
  CHECK(run->WaitFor(ProviderRun::Targets{}));
}

TEST_CASE("swarm nodes are found by their address") {
  Swarm swarm;
  CHECK(swarm.Run("nodes")->WaitFor(
      {Found("192.0.2.1:80", {kNodeLabels,
                              {{"node_engine_version", "27"},
                               {"node_manager_leader", "true"},
                               {"node_manager_reachability", "reachable"},
                               {"node_manager_address", "192.0.2.1:2377"}}}),
       Found("192.0.2.2:80", {{{"node_id", "node2"},
                               {"node_role", "worker"},
                               {"node_address", "192.0.2.2"},
                               {"node_status", "down"}}})}));
}

TEST_CASE("swarm tasks are found by their ports and their networks") {
  Swarm swarm;
  const Labels task = {
      {"task_id", "t1"},           {"task_desired_state", "running"},
      {"task_state", "running"},   {"task_slot", "1"},
      {"task_container_id", "c1"}, {"container_label_k", "v"}};
  CHECK(swarm.Run("tasks")->WaitFor(
      {Found("192.0.2.1:70", {task,
                              kServiceLabels,
                              kNodeLabels,
                              {{"task_port_publish_mode", "host"}}}),
       Found("10.0.0.7:90", {task,
                             kServiceLabels,
                             kNodeLabels,
                             kNetworkLabels,
                             {{"task_port_publish_mode", "ingress"}}}),
       Found("10.0.0.8:80", {{{"task_id", "t2"},
                              {"task_desired_state", "running"},
                              {"task_state", "failed"},
                              {"task_slot", "0"},
                              {"service_id", "s2"},
                              {"service_name", "job"},
                              {"service_mode", "global"}}})}));
  CHECK_FALSE(swarm.server.Last("/nodes").params.Has("filters"));
}

TEST_CASE("swarm configs are checked and printed") {
  CHECK(
      PrintedConfig(ParseConfig<DockerSwarmConfig>("{host: h, role: nodes}")) ==
      "follow_redirects: true\nenable_http2: true\nhost: h\nrole: nodes\n"
      "port: 80\nfilters: []\nrefresh_interval: 1m\n");
  CHECK_THAT(ConfigError<DockerSwarmConfig>("{role: nodes}"),
             Catch::EndsWith("host missing"));
  CHECK_THAT(ConfigError<DockerSwarmConfig>("{host: h}"),
             Catch::EndsWith("role missing (one of: tasks, services, nodes)"));
  CHECK_THAT(
      ConfigError<DockerSwarmConfig>("{host: h, role: x}"),
      Catch::EndsWith("invalid role x, expected tasks, services, or nodes"));
}

}  // namespace
}  // namespace narthex::discovery
