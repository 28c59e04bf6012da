#include "libs/discovery/dockerswarm.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/discovery/docker_api.h"
#include "libs/discovery/meta_labels.h"
#include "libs/discovery/refresh_provider.h"

namespace narthex::discovery {
namespace {

constexpr char kPrefix[] = "__meta_dockerswarm_";

using LabelsById = std::map<std::string, model::Labels>;
using Groups = std::vector<TargetGroup>;

struct Api {
  const DockerApi& docker;
  Fetcher& fetcher;
};

void AddKeys(const Json& map, absl::string_view group, MetaLabels* labels) {
  ForEachText(map, [&](const std::string& key, const std::string& value) {
    labels->AddKey(group, key, value);
  });
}

void MergeById(const LabelsById& known, const std::string& id,
               MetaLabels* labels) {
  const auto it = known.find(id);
  if (it != known.end()) labels->Merge(it->second);
}

/// The address of "10.0.0.1/24". kInvalidArgument for any other form.
absl::StatusOr<std::string> AddressOf(const std::string& network_address) {
  const std::size_t slash = network_address.find('/');
  if (slash == std::string::npos || slash == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("error while parsing address ", network_address,
                     ": invalid CIDR address: ", network_address));
  }
  return network_address.substr(0, slash);
}

/// The TCP ports in a list of port configurations.
std::vector<const Json*> TcpPorts(const Json& ports) {
  std::vector<const Json*> out;
  for (const Json& port : ports) {
    if (Text(port, "Protocol") == "tcp") out.push_back(&port);
  }
  return out;
}

std::string ModeOf(const Json& service) {
  const Json& mode = Child(Child(service, "Spec"), "Mode");
  if (!Child(mode, "Global").is_null()) return "global";
  if (!Child(mode, "Replicated").is_null()) return "replicated";
  return "";
}

/// What services and their tasks have in common.
MetaLabels ServiceLabels(const Json& service) {
  const Json& spec = Child(service, "Spec");
  MetaLabels labels(kPrefix);
  labels.Add("service_id", Text(service, "ID"))
      .Add("service_name", Text(spec, "Name"))
      .Add("service_mode", ModeOf(service));
  AddKeys(Child(spec, "Labels"), "service_label_", &labels);
  return labels;
}

/// What nodes and their tasks have in common.
MetaLabels NodeLabels(const Json& node) {
  const Json& spec = Child(node, "Spec");
  const Json& description = Child(node, "Description");
  const Json& platform = Child(description, "Platform");
  const Json& status = Child(node, "Status");
  MetaLabels labels(kPrefix);
  labels.Add("node_id", Text(node, "ID"))
      .Add("node_role", Text(spec, "Role"))
      .Add("node_address", Text(status, "Addr"))
      .Add("node_availability", Text(spec, "Availability"))
      .Add("node_hostname", Text(description, "Hostname"))
      .Add("node_platform_architecture", Text(platform, "Architecture"))
      .Add("node_platform_os", Text(platform, "OS"))
      .Add("node_status", Text(status, "State"));
  AddKeys(Child(spec, "Labels"), "node_label_", &labels);
  return labels;
}

absl::StatusOr<LabelsById> ListNetworks(const Api& api) {
  auto labels = api.docker.NetworkLabels(api.fetcher, kPrefix);
  if (labels.ok()) return labels;
  return base::Annotate(labels.status(),
                        "error while computing swarm network labels");
}

absl::Status AddService(const Json& service, int port,
                        const LabelsById& networks, TargetGroup* group) {
  MetaLabels common = ServiceLabels(service);
  const Json& container =
      Child(Child(Child(service, "Spec"), "TaskTemplate"), "ContainerSpec");
  common.Add("service_task_container_hostname", Text(container, "Hostname"))
      .Add("service_task_container_image", Text(container, "Image"))
      .Add("service_updating_status",
           Text(Child(service, "UpdateStatus"), "State"));
  const Json& endpoint = Child(service, "Endpoint");
  const auto ports = TcpPorts(Child(endpoint, "Ports"));
  const Json& addresses = Child(endpoint, "VirtualIPs");
  if (!addresses.is_list()) return absl::OkStatus();
  for (const Json& address : addresses) {
    NARTHEX_ASSIGN_OR_RETURN(const std::string ip,
                             AddressOf(Text(address, "Addr")));
    MetaLabels labels = common;
    MergeById(networks, Text(address, "NetworkID"), &labels);
    for (const Json* published : ports) {
      MetaLabels target = labels;
      target.Add("service_endpoint_port_name", Text(*published, "Name"))
          .Add("service_endpoint_port_publish_mode",
               Text(*published, "PublishMode"))
          .Address(JoinHostPort(ip, Number(*published, "PublishedPort")));
      group->targets.push_back(target.Build());
    }
    if (ports.empty()) {
      labels.Address(JoinHostPort(ip, port));
      group->targets.push_back(labels.Build());
    }
  }
  return absl::OkStatus();
}

absl::Status FindServices(const Api& api, int port, TargetGroup* group) {
  auto services = api.docker.ListFiltered(api.fetcher, "/services");
  NARTHEX_RETURN_IF_ERROR(
      base::Annotate(services.status(), "error while listing swarm services"));
  NARTHEX_ASSIGN_OR_RETURN(const LabelsById networks, ListNetworks(api));
  for (const Json& service : *services) {
    NARTHEX_RETURN_IF_ERROR(AddService(service, port, networks, group));
  }
  return absl::OkStatus();
}

absl::Status FindNodes(const Api& api, int port, TargetGroup* group) {
  auto nodes = api.docker.ListFiltered(api.fetcher, "/nodes");
  NARTHEX_RETURN_IF_ERROR(
      base::Annotate(nodes.status(), "error while listing swarm nodes"));
  for (const Json& node : *nodes) {
    MetaLabels labels = NodeLabels(node);
    labels.Add(
        "node_engine_version",
        Text(Child(Child(node, "Description"), "Engine"), "EngineVersion"));
    const Json& manager = Child(node, "ManagerStatus");
    if (!manager.is_null()) {
      labels.AddFlag("node_manager_leader", Flag(manager, "Leader"))
          .Add("node_manager_reachability", Text(manager, "Reachability"))
          .Add("node_manager_address", Text(manager, "Addr"));
    }
    labels.Address(JoinHostPort(Text(Child(node, "Status"), "Addr"), port));
    group->targets.push_back(labels.Build());
  }
  return absl::OkStatus();
}

/// What the tasks refer to.
struct Surroundings {
  std::map<std::string, Json> services;
  LabelsById service_labels;
  std::map<std::string, std::string> node_addresses;
  LabelsById node_labels;
  LabelsById networks;
};

absl::StatusOr<Surroundings> ListSurroundings(const Api& api) {
  Surroundings out;
  auto services = api.docker.List(api.fetcher, "/services");
  NARTHEX_RETURN_IF_ERROR(base::Annotate(
      services.status(), "error while computing services labels and ports"));
  for (Json& service : *services) {
    std::string id = Text(service, "ID");
    out.service_labels[id] = ServiceLabels(service).Build();
    out.services[std::move(id)] = std::move(service);
  }
  auto nodes = api.docker.List(api.fetcher, "/nodes");
  NARTHEX_RETURN_IF_ERROR(base::Annotate(
      nodes.status(), "error while computing nodes labels and ports"));
  for (const Json& node : *nodes) {
    const std::string id = Text(node, "ID");
    out.node_labels[id] = NodeLabels(node).Build();
    out.node_addresses[id] = Text(Child(node, "Status"), "Addr");
  }
  NARTHEX_ASSIGN_OR_RETURN(out.networks, ListNetworks(api));
  return out;
}

MetaLabels TaskLabels(const Json& task, const Surroundings& around) {
  const Json& status = Child(task, "Status");
  MetaLabels labels(kPrefix);
  labels.Add("task_id", Text(task, "ID"))
      .Add("task_desired_state", Text(task, "DesiredState"))
      .Add("task_state", Text(status, "State"))
      .Add("task_slot", Number(task, "Slot"))
      .Add("task_container_id",
           Text(Child(status, "ContainerStatus"), "ContainerID"));
  AddKeys(Child(Child(Child(task, "Spec"), "ContainerSpec"), "Labels"),
          "container_label_", &labels);
  MergeById(around.service_labels, Text(task, "ServiceID"), &labels);
  MergeById(around.node_labels, Text(task, "NodeID"), &labels);
  return labels;
}

absl::Status AddNetworkTargets(const Json& attachment,
                               const std::vector<const Json*>& ports,
                               MetaLabels labels, int port,
                               const LabelsById& networks, TargetGroup* group) {
  MergeById(networks, Text(Child(attachment, "Network"), "ID"), &labels);
  for (const std::string& address : Texts(attachment, "Addresses")) {
    NARTHEX_ASSIGN_OR_RETURN(const std::string ip, AddressOf(address));
    for (const Json* published : ports) {
      MetaLabels target = labels;
      target.Add("task_port_publish_mode", Text(*published, "PublishMode"))
          .Address(JoinHostPort(ip, Number(*published, "PublishedPort")));
      group->targets.push_back(target.Build());
    }
    if (ports.empty()) {
      MetaLabels target = labels;
      target.Address(JoinHostPort(ip, port));
      group->targets.push_back(target.Build());
    }
  }
  return absl::OkStatus();
}

absl::Status AddTask(const Json& task, int port, const Surroundings& around,
                     TargetGroup* group) {
  const MetaLabels labels = TaskLabels(task, around);
  const auto node = around.node_addresses.find(Text(task, "NodeID"));
  const std::string node_address =
      node == around.node_addresses.end() ? "" : node->second;
  const Json& own_ports = Child(Child(task, "Status"), "PortStatus");
  for (const Json* published : TcpPorts(Child(own_ports, "Ports"))) {
    MetaLabels target = labels;
    target.Add("task_port_publish_mode", Text(*published, "PublishMode"))
        .Address(
            JoinHostPort(node_address, Number(*published, "PublishedPort")));
    group->targets.push_back(target.Build());
  }
  std::vector<const Json*> service_ports;
  const auto service = around.services.find(Text(task, "ServiceID"));
  if (service != around.services.end()) {
    service_ports =
        TcpPorts(Child(Child(service->second, "Endpoint"), "Ports"));
  }
  const Json& attachments = Child(task, "NetworksAttachments");
  if (!attachments.is_list()) return absl::OkStatus();
  for (const Json& attachment : attachments) {
    NARTHEX_RETURN_IF_ERROR(AddNetworkTargets(attachment, service_ports, labels,
                                              port, around.networks, group));
  }
  return absl::OkStatus();
}

absl::Status FindTasks(const Api& api, int port, TargetGroup* group) {
  auto tasks = api.docker.ListFiltered(api.fetcher, "/tasks");
  NARTHEX_RETURN_IF_ERROR(
      base::Annotate(tasks.status(), "error while listing swarm tasks"));
  NARTHEX_ASSIGN_OR_RETURN(const Surroundings around, ListSurroundings(api));
  for (const Json& task : *tasks) {
    NARTHEX_RETURN_IF_ERROR(AddTask(task, port, around, group));
  }
  return absl::OkStatus();
}

absl::StatusOr<Groups> Refresh(const DockerSwarmConfig& config,
                               const Api& api) {
  TargetGroup group;
  group.source = "DockerSwarm";
  const auto find = config.role == "services" ? FindServices
                    : config.role == "nodes"  ? FindNodes
                                              : FindTasks;
  NARTHEX_RETURN_IF_ERROR(find(api, config.port, &group));
  return Groups{std::move(group)};
}

}  // namespace

absl::Status Decode(const yaml::Node& node, DockerSwarmConfig* config) {
  yaml::Decoder d(node);
  http::DecodeClientConfig(d, &config->client);
  d.Field("role", &config->role);
  d.Field("port", &config->port);
  d.Field("filters", &config->filters);
  d.Duration("refresh_interval", &config->refresh_interval_ms);
  DecodeDockerHost(d, &config->host);
  if (config->role.empty()) {
    d.Fail("role missing (one of: tasks, services, nodes)");
  } else if (config->role != "services" && config->role != "nodes" &&
             config->role != "tasks") {
    d.Fail(absl::StrCat("invalid role ", config->role,
                        ", expected tasks, services, or nodes"));
  }
  return d.Done();
}

void Emit(const DockerSwarmConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  http::EmitClientConfig(config.client, out);
  out->Field("host", config.host);
  out->Field("role", config.role);
  out->Field("port", std::int64_t{config.port});
  EmitFilters(config.filters, out);
  out->Key("refresh_interval").Duration(config.refresh_interval_ms);
  out->EndMap();
}

void SetDirectory(const std::string& directory, DockerSwarmConfig* config) {
  http::SetDirectory(directory, &config->client);
}

std::unique_ptr<Provider> MakeProvider(const DockerSwarmConfig& config,
                                       const ProviderContext& context) {
  const DockerApi api(config.host, config.filters, config.refresh_interval_ms);
  return std::make_unique<RefreshProvider>(
      RefreshProvider::Options{
          .mechanism = "dockerswarm",
          .interval_ms = config.refresh_interval_ms,
          .client = DockerClient(config.host, config.client)},
      context, [config, api](Fetcher& fetcher) {
        return Refresh(config, {api, fetcher});
      });
}

}  // namespace narthex::discovery
