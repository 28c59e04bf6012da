#include "libs/discovery/hetzner.h"

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/discovery/json.h"
#include "libs/discovery/meta_labels.h"
#include "libs/yaml/optional_fields.h"

namespace narthex::discovery {
namespace {

constexpr char kPrefix[] = "__meta_hetzner_";
constexpr int kPageSize = 50;

/// All items of all pages of the list `name`. `query` is added to each URL.
absl::StatusOr<std::vector<Json>> ListCloud(const HetznerConfig& config,
                                            Fetcher& fetcher, const char* name,
                                            const std::string& query) {
  std::vector<Json> items;
  std::int64_t page = 1;
  while (page > 0) {
    const std::string url =
        absl::StrCat(config.cloud_endpoint, "/", name, "?page=", page,
                     "&per_page=", kPageSize, query);
    NARTHEX_ASSIGN_OR_RETURN(const std::string body, fetcher.Get(url));
    NARTHEX_ASSIGN_OR_RETURN(const Json answer, ParseJson(body));
    const Json& list = Child(answer, name);
    if (!list.is_list()) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ": expected a list"));
    }
    items.insert(items.end(), list.begin(), list.end());
    const std::int64_t next =
        Number(Child(Child(answer, "meta"), "pagination"), "next_page");
    page = next > page ? next : 0;
  }
  return items;
}

model::Labels CloudLabels(const Json& server,
                          const std::map<std::int64_t, std::string>& networks,
                          int port) {
  const Json& public_net = Child(server, "public_net");
  const std::string ip = Text(Child(public_net, "ipv4"), "ip");
  const Json& type = Child(server, "server_type");
  const Json& datacenter = Child(server, "datacenter");
  // It stood in the datacenter before there was one without.
  const Json& own_location = Child(server, "location");
  const Json& location =
      own_location.is_null() ? Child(datacenter, "location") : own_location;
  const Json& image = Child(server, "image");
  MetaLabels labels(kPrefix);
  labels.Address(JoinHostPort(ip, port))
      .Add("role", "hcloud")
      .Add("server_id", Number(server, "id"))
      .Add("server_name", Text(server, "name"))
      .Add("server_status", Text(server, "status"))
      .Add("datacenter", Text(datacenter, "name"))
      .Add("public_ipv4", ip)
      .Add("public_ipv6_network", Text(Child(public_net, "ipv6"), "ip"))
      .Add("hcloud_location", Text(location, "name"))
      .Add("hcloud_location_network_zone", Text(location, "network_zone"))
      .Add("hcloud_datacenter_location", Text(location, "name"))
      .Add("hcloud_datacenter_location_network_zone",
           Text(location, "network_zone"))
      .Add("hcloud_server_type", Text(type, "name"))
      .Add("hcloud_cpu_cores", Number(type, "cores"))
      .Add("hcloud_cpu_type", Text(type, "cpu_type"))
      .Add("hcloud_memory_size_gb", Number(type, "memory"))
      .Add("hcloud_disk_size_gb", Number(type, "disk"))
      .Add("hcloud_image_name", Text(image, "name"))
      .Add("hcloud_image_description", Text(image, "description"))
      .Add("hcloud_image_os_version", Text(image, "os_version"))
      .Add("hcloud_image_os_flavor", Text(image, "os_flavor"));
  const Json& private_nets = Child(server, "private_net");
  if (private_nets.is_list()) {
    for (const Json& net : private_nets) {
      const auto network = networks.find(Number(net, "network"));
      if (network == networks.end()) continue;
      labels.AddKey("hcloud_private_ipv4_", network->second, Text(net, "ip"));
    }
  }
  ForEachText(Child(server, "labels"),
              [&](const std::string& key, const std::string& value) {
                labels.AddKey("hcloud_labelpresent_", key, "true")
                    .AddKey("hcloud_label_", key, value);
              });
  return labels.Build();
}

absl::Status FindCloud(const HetznerConfig& config, Fetcher& fetcher,
                       TargetGroup* group) {
  const std::string selector =
      config.label_selector.empty()
          ? ""
          : absl::StrCat("&label_selector=",
                         http::PercentEncode(config.label_selector));
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<Json> servers,
                           ListCloud(config, fetcher, "servers", selector));
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<Json> networks,
                           ListCloud(config, fetcher, "networks", ""));
  std::map<std::int64_t, std::string> names;
  for (const Json& network : networks) {
    names[Number(network, "id")] = Text(network, "name");
  }
  for (const Json& server : servers) {
    group->targets.push_back(CloudLabels(server, names, config.port));
  }
  return absl::OkStatus();
}

model::Labels RobotLabels(const Json& server, int port) {
  const std::string ip = Text(server, "server_ip");
  const std::string datacenter = absl::AsciiStrToLower(Text(server, "dc"));
  MetaLabels labels(kPrefix);
  labels.Address(JoinHostPort(ip, port))
      .Add("role", "robot")
      .Add("server_id", Number(server, "server_number"))
      .Add("server_name", Text(server, "server_name"))
      .Add("server_status", Text(server, "status"))
      .Add("datacenter", datacenter)
      .Add("public_ipv4", ip)
      .Add("robot_datacenter", datacenter)
      .Add("robot_product", Text(server, "product"))
      .AddFlag("robot_cancelled", Flag(server, "cancelled"));
  const Json& subnets = Child(server, "subnet");
  if (!subnets.is_list()) return labels.Build();
  for (const Json& subnet : subnets) {
    const std::string address = Text(subnet, "ip");
    if (!absl::StrContains(address, ':')) continue;
    labels.Add("public_ipv6_network",
               absl::StrCat(address, "/", Text(subnet, "mask")));
    break;
  }
  return labels.Build();
}

absl::Status FindRobot(const HetznerConfig& config, Fetcher& fetcher,
                       TargetGroup* group) {
  http::FetchRequest request;
  request.url = config.robot_endpoint + "/server";
  NARTHEX_ASSIGN_OR_RETURN(const Fetcher::Answer answer,
                           fetcher.Fetch(std::move(request)));
  if (answer.code / 100 != 2) {
    return absl::UnavailableError(
        absl::StrCat("non 2xx status '", answer.code,
                     "' response during hetzner service discovery with role "
                     "robot"));
  }
  NARTHEX_ASSIGN_OR_RETURN(const Json servers, ParseJson(answer.body));
  if (!servers.is_list()) {
    return absl::InvalidArgumentError("expected a list of servers");
  }
  for (const Json& server : servers) {
    group->targets.push_back(RobotLabels(Child(server, "server"), config.port));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<TargetGroup>> Refresh(const HetznerConfig& config,
                                                 Fetcher& fetcher) {
  TargetGroup group;
  group.source = "hetzner";
  NARTHEX_RETURN_IF_ERROR((config.role == "hcloud" ? FindCloud : FindRobot)(
      config, fetcher, &group));
  return std::vector<TargetGroup>{std::move(group)};
}

}  // namespace

absl::Status Decode(const yaml::Node& node, HetznerConfig* config) {
  yaml::Decoder d(node);
  DecodePolledApi(d, config);
  d.Field("role", &config->role);
  d.Field("label_selector", &config->label_selector);
  if (config->role.empty()) {
    d.Fail("role missing (one of: robot, hcloud)");
  } else if (config->role != "hcloud" && config->role != "robot") {
    d.Fail(absl::StrCat("unknown role ", base::Quote(config->role)));
  }
  return d.Done();
}

void Emit(const HetznerConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  EmitPolledApi(config, out);
  out->Field("role", config.role);
  yaml::EmitText("label_selector", config.label_selector, out);
  out->EndMap();
}

std::unique_ptr<Provider> MakeProvider(const HetznerConfig& config,
                                       const ProviderContext& context) {
  return PollApi("hetzner", config, context, [config](Fetcher& fetcher) {
    return Refresh(config, fetcher);
  });
}

}  // namespace narthex::discovery
