#include "libs/discovery/ecs.h"

#include <algorithm>
#include <map>
#include <pugixml.hpp>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/status.h"
#include "libs/discovery/ec2.h"
#include "libs/discovery/meta_labels.h"

namespace narthex::discovery {
namespace {

using JsonByKey = std::map<std::string, Json>;

/// What tasks may be described by in one request.
constexpr std::size_t kMaxServices = 10;
constexpr std::size_t kMaxOthers = 100;

Json ListOf(const std::vector<std::string>& texts) {
  return Json::List(std::vector<Json>(texts.begin(), texts.end()));
}

/// An instance of EC2 that runs tasks.
struct Host {
  std::string private_ip;
  std::string public_ip;
  std::string subnet;
  std::string type;
  std::map<std::string, std::string> tags;
};

/// What the tasks of a cluster refer to.
struct Surroundings {
  Json cluster;
  JsonByKey services;                             // By name.
  std::map<std::string, std::string> host_ids;    // By container instance.
  std::map<std::string, Host> hosts;              // By id.
  std::map<std::string, std::string> public_ips;  // By network interface.
};

/// The network interface of a task that has one.
struct Interface {
  bool attached = false;
  std::string id;
  std::string ip;
  std::string subnet;
};

Interface InterfaceOf(const Json& task) {
  Interface out;
  for (const Json& attachment : Child(task, "attachments")) {
    if (Text(attachment, "type") != "ElasticNetworkInterface") continue;
    out.attached = true;
    for (const Json& detail : Child(attachment, "details")) {
      const std::string name = Text(detail, "name");
      const std::string value = Text(detail, "value");
      if (name == "privateIPv4Address") out.ip = value;
      if (name == "subnetId") out.subnet = value;
      if (name == "networkInterfaceId") out.id = value;
    }
    break;
  }
  return out;
}

void AddTags(const Json& object, const std::string& prefix,
             MetaLabels* labels) {
  for (const Json& tag : Child(object, "tags")) {
    labels->AddKey(prefix, Text(tag, "key"), Text(tag, "value"));
  }
}

template <typename Map>
const typename Map::mapped_type* Find(const Map& map, const std::string& key) {
  const auto it = map.find(key);
  return it == map.end() ? nullptr : &it->second;
}

void AddService(const Json& task, const Surroundings& around,
                MetaLabels* labels) {
  const std::string group = Text(task, "group");
  absl::string_view name = group;
  if (!absl::ConsumePrefix(&name, "service:")) return;
  const Json* service = Find(around.services, std::string(name));
  if (service == nullptr) return;
  labels->Add("service", Text(*service, "serviceName"))
      .Add("service_arn", Text(*service, "serviceArn"))
      .Add("service_status", Text(*service, "status"));
  AddTags(*service, "tag_service_", labels);
}

void AddHost(const std::string& id, const Host* host, MetaLabels* labels) {
  labels->Add("ec2_instance_id", id);
  if (host == nullptr) return;
  labels->Add("ec2_instance_type", host->type)
      .Add("ec2_instance_private_ip", host->private_ip)
      .Add("ec2_instance_public_ip", host->public_ip);
  for (const auto& [key, value] : host->tags) {
    labels->AddKey("tag_ec2_", key, value);
  }
}

void AddTask(const Json& task, const Surroundings& around,
             const std::string& region, int port, TargetGroup* group) {
  const std::string container_instance = Text(task, "containerInstanceArn");
  const std::string* host_id = Find(around.host_ids, container_instance);
  const Host* host =
      host_id == nullptr ? nullptr : Find(around.hosts, *host_id);
  const Interface interface = InterfaceOf(task);
  std::string ip = interface.ip;
  std::string subnet = interface.subnet;
  std::string public_ip;
  std::string mode = "awsvpc";
  if (interface.attached) {
    const std::string* known = Find(around.public_ips, interface.id);
    if (known != nullptr) public_ip = *known;
  } else if (host != nullptr) {
    mode = "bridge";
    ip = host->private_ip;
    subnet = host->subnet;
    public_ip = host->public_ip;
  }
  if (ip.empty()) return;
  MetaLabels labels("__meta_ecs_");
  labels.Address(JoinHostPort(ip, port))
      .Add("ip_address", ip)
      .Add("region", region)
      .Add("network_mode", mode)
      .Add("subnet_id", subnet)
      .Add("public_ip", public_ip)
      .Add("cluster", Text(around.cluster, "clusterName"))
      .Add("cluster_arn", Text(around.cluster, "clusterArn"))
      .Add("launch_type", Text(task, "launchType"))
      .Add("health_status", Text(task, "healthStatus"))
      .Add("task_group", Text(task, "group"))
      .Add("task_arn", Text(task, "taskArn"))
      .Add("task_definition", Text(task, "taskDefinitionArn"))
      .Add("availability_zone", Text(task, "availabilityZone"))
      .Add("desired_status", Text(task, "desiredStatus"))
      .Add("last_status", Text(task, "lastStatus"))
      .Add("platform_family", Text(task, "platformFamily"))
      .Add("platform_version", Text(task, "platformVersion"))
      .Add("container_instance_arn", container_instance);
  if (host_id != nullptr) AddHost(*host_id, host, &labels);
  AddService(task, around, &labels);
  AddTags(around.cluster, "tag_cluster_", &labels);
  AddTags(task, "tag_task_", &labels);
  group->targets.push_back(labels.Build());
}

Host ReadHost(const pugi::xml_node& instance) {
  const auto text = [&](const char* name) {
    return std::string(instance.child(name).text().get());
  };
  Host host{text("privateIpAddress"),
            text("ipAddress"),
            text("subnetId"),
            text("instanceType"),
            {}};
  for (const pugi::xml_node& tag : instance.child("tagSet")) {
    host.tags[tag.child("key").text().get()] = tag.child("value").text().get();
  }
  return host;
}

AwsApiConfig Ec2Api(const EcsConfig& config) {
  AwsApiConfig out = config;
  out.endpoint = config.ec2_endpoint;
  return out;
}

class Ecs {
 public:
  explicit Ecs(const EcsConfig& config)
      : config_(config),
        ecs_(config, {.service = "ecs"}),
        ec2_(Ec2Api(config), {.service = "ec2", .version = kEc2Version}) {}

  absl::StatusOr<std::vector<TargetGroup>> Refresh(Fetcher& fetcher) {
    TargetGroup group;
    NARTHEX_ASSIGN_OR_RETURN(group.source, ecs_.Region(fetcher));
    std::vector<std::string> names = config_.clusters;
    if (names.empty()) {
      NARTHEX_ASSIGN_OR_RETURN(
          names, ListAll(fetcher, "ListClusters", "", "clusterArns"));
    }
    NARTHEX_ASSIGN_OR_RETURN(
        const std::vector<Json> clusters,
        Describe(fetcher, "DescribeClusters", "", "clusters", names));
    for (const Json& cluster : clusters) {
      NARTHEX_RETURN_IF_ERROR(base::Annotate(
          AddCluster(fetcher, cluster, &group),
          absl::StrCat("cluster ", Text(cluster, "clusterArn"))));
    }
    return std::vector<TargetGroup>{std::move(group)};
  }

 private:
  static std::string Target(const std::string& action) {
    return "AmazonEC2ContainerServiceV20141113." + action;
  }

  /// All names on all pages of a list.
  absl::StatusOr<std::vector<std::string>> ListAll(Fetcher& fetcher,
                                                   const std::string& action,
                                                   const std::string& cluster,
                                                   const char* list) {
    std::vector<std::string> out;
    std::string token;
    do {
      std::vector<Json::Member> body = {{"maxResults", 100}};
      if (!cluster.empty()) body.push_back({"cluster", cluster});
      if (!token.empty()) body.push_back({"nextToken", token});
      NARTHEX_ASSIGN_OR_RETURN(
          const Json page,
          ecs_.Call(fetcher, Target(action), Json::Map(std::move(body))));
      for (std::string& name : Texts(page, list)) {
        out.push_back(std::move(name));
      }
      token = Text(page, "nextToken");
    } while (!token.empty());
    return out;
  }

  /// The objects with those names, asked for in batches.
  absl::StatusOr<std::vector<Json>> Describe(
      Fetcher& fetcher, const std::string& action, const std::string& cluster,
      const char* list, const std::vector<std::string>& names) {
    const std::size_t batch =
        action == "DescribeServices" ? kMaxServices : kMaxOthers;
    std::vector<Json> bodies;
    for (std::size_t i = 0; i < names.size(); i += batch) {
      const std::vector<std::string> some(
          names.begin() + static_cast<std::ptrdiff_t>(i),
          names.begin() +
              static_cast<std::ptrdiff_t>(std::min(i + batch, names.size())));
      std::vector<Json::Member> body = {{list, ListOf(some)}};
      if (!cluster.empty()) body.push_back({"cluster", cluster});
      if (action != "DescribeContainerInstances") {
        body.push_back({"include", Json::List({"TAGS"})});
      }
      bodies.push_back(Json::Map(std::move(body)));
    }
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<Json> answers,
                             ecs_.CallAll(fetcher, Target(action), bodies,
                                          config_.request_concurrency));
    std::vector<Json> out;
    for (const Json& answer : answers) {
      const Json& items = Child(answer, list);
      out.insert(out.end(), items.begin(), items.end());
    }
    return out;
  }

  absl::Status AddCluster(Fetcher& fetcher, const Json& cluster,
                          TargetGroup* group) {
    const std::string arn = Text(cluster, "clusterArn");
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> task_names,
                             ListAll(fetcher, "ListTasks", arn, "taskArns"));
    if (task_names.empty()) return absl::OkStatus();
    NARTHEX_ASSIGN_OR_RETURN(
        const std::vector<Json> tasks,
        Describe(fetcher, "DescribeTasks", arn, "tasks", task_names));
    Surroundings around;
    around.cluster = cluster;
    NARTHEX_RETURN_IF_ERROR(ReadServices(fetcher, arn, &around));
    NARTHEX_RETURN_IF_ERROR(ReadHosts(fetcher, arn, tasks, &around));
    NARTHEX_RETURN_IF_ERROR(ReadInterfaces(fetcher, tasks, &around));
    for (const Json& task : tasks) {
      AddTask(task, around, group->source, config_.port, group);
    }
    return absl::OkStatus();
  }

  absl::Status ReadServices(Fetcher& fetcher, const std::string& cluster,
                            Surroundings* around) {
    NARTHEX_ASSIGN_OR_RETURN(
        const std::vector<std::string> names,
        ListAll(fetcher, "ListServices", cluster, "serviceArns"));
    NARTHEX_ASSIGN_OR_RETURN(
        const std::vector<Json> services,
        Describe(fetcher, "DescribeServices", cluster, "services", names));
    for (const Json& service : services) {
      around->services.emplace(Text(service, "serviceName"), service);
    }
    return absl::OkStatus();
  }

  absl::Status ReadHosts(Fetcher& fetcher, const std::string& cluster,
                         const std::vector<Json>& tasks, Surroundings* around) {
    std::set<std::string> containers;
    for (const Json& task : tasks) {
      std::string arn = Text(task, "containerInstanceArn");
      if (!arn.empty()) containers.insert(std::move(arn));
    }
    NARTHEX_ASSIGN_OR_RETURN(
        const std::vector<Json> instances,
        Describe(fetcher, "DescribeContainerInstances", cluster,
                 "containerInstances", {containers.begin(), containers.end()}));
    std::set<std::string> ids;
    for (const Json& instance : instances) {
      const std::string id = Text(instance, "ec2InstanceId");
      if (id.empty()) continue;
      around->host_ids[Text(instance, "containerInstanceArn")] = id;
      ids.insert(id);
    }
    return ForEachInEc2(
        fetcher, "DescribeInstances", "InstanceId", ids,
        [&](const pugi::xml_node& answer) {
          for (const auto& reservation : answer.child("reservationSet")) {
            for (const auto& instance : reservation.child("instancesSet")) {
              Host host = ReadHost(instance);
              if (host.private_ip.empty()) continue;
              around->hosts[instance.child("instanceId").text().get()] =
                  std::move(host);
            }
          }
        });
  }

  absl::Status ReadInterfaces(Fetcher& fetcher, const std::vector<Json>& tasks,
                              Surroundings* around) {
    std::set<std::string> ids;
    for (const Json& task : tasks) {
      std::string id = InterfaceOf(task).id;
      if (!id.empty()) ids.insert(std::move(id));
    }
    return ForEachInEc2(
        fetcher, "DescribeNetworkInterfaces", "NetworkInterfaceId", ids,
        [&](const pugi::xml_node& answer) {
          for (const auto& item : answer.child("networkInterfaceSet")) {
            const auto ip = item.child("association").child("publicIp");
            if (!ip) continue;
            around->public_ips[item.child("networkInterfaceId").text().get()] =
                ip.text().get();
          }
        });
  }

  /// Visits all pages of what EC2 answers about those ids.
  template <typename Visit>
  absl::Status ForEachInEc2(Fetcher& fetcher, const std::string& action,
                            const std::string& param,
                            const std::set<std::string>& ids,
                            const Visit& visit) {
    if (ids.empty()) return absl::OkStatus();
    std::string form;
    int number = 0;
    for (const std::string& id : ids) {
      AddAwsParam(absl::StrCat(param, ".", ++number), id, &form);
    }
    std::string token;
    do {
      std::string page = form;
      if (!token.empty()) AddAwsParam("NextToken", token, &page);
      NARTHEX_ASSIGN_OR_RETURN(const std::string body,
                               ec2_.Query(fetcher, action, page));
      pugi::xml_document xml;
      if (!xml.load_buffer(body.data(), body.size())) {
        return absl::UnavailableError(action + ": the answer is no XML");
      }
      const auto answer = xml.child((action + "Response").c_str());
      visit(answer);
      token = answer.child("nextToken").text().get();
    } while (!token.empty());
    return absl::OkStatus();
  }

  const EcsConfig config_;
  AwsApi ecs_;
  AwsApi ec2_;
};

}  // namespace

absl::Status Decode(const yaml::Node& node, EcsConfig* config) {
  yaml::Decoder d(node);
  DecodeAwsClusters(d, config);
  return d.Done();
}

void Emit(const EcsConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  EmitAwsClusters(config, nullptr, out);
  http::EmitClientConfig(config.client, out);
  out->EndMap();
}

std::unique_ptr<Provider> MakeProvider(const EcsConfig& config,
                                       const ProviderContext& context) {
  auto ecs = std::make_shared<Ecs>(config);
  return PollApi("ecs", config, context,
                 [ecs](Fetcher& fetcher) { return ecs->Refresh(fetcher); });
}

}  // namespace narthex::discovery
