#include "libs/discovery/docker.h"

#include <map>
#include <utility>

#include "absl/strings/strip.h"
#include "libs/base/status.h"
#include "libs/discovery/docker_api.h"
#include "libs/discovery/meta_labels.h"
#include "libs/discovery/refresh_provider.h"

namespace narthex::discovery {
namespace {

constexpr char kPrefix[] = "__meta_docker_";

using NetworkLabels = std::map<std::string, model::Labels>;
/// A container's networks by name.
using Networks = std::map<std::string, const Json*>;

std::string NetworkMode(const Json& container) {
  return Text(Child(container, "HostConfig"), "NetworkMode");
}

Networks NetworksOf(const Json& container) {
  Networks out;
  const Json& networks = Child(Child(container, "NetworkSettings"), "Networks");
  for (const auto& [name, network] : networks.members()) {
    out.emplace(name, &network);
  }
  return out;
}

/// A container without networks of its own may share those of another, which
/// may do the same.
Networks NetworksWithShared(const Json& container,
                            const std::map<std::string, const Json*>& all) {
  Networks networks = NetworksOf(container);
  std::string mode = NetworkMode(container);
  // No chain of distinct containers is longer; a circle ends too.
  for (std::size_t i = 0; networks.empty() && i < all.size(); ++i) {
    absl::string_view id = mode;
    if (!absl::ConsumePrefix(&id, "container:")) break;
    const auto shared = all.find(std::string(id));
    if (shared == all.end()) break;
    networks = NetworksOf(*shared->second);
    mode = NetworkMode(*shared->second);
  }
  return networks;
}

void KeepFirst(Networks* networks) {
  if (networks->size() < 2) return;
  for (const auto& [name, network] : *networks) {
    if (network->is_null()) continue;
    const Networks first = {{name, network}};
    *networks = first;
    return;
  }
}

MetaLabels CommonLabels(const Json& container, const std::string& name) {
  MetaLabels labels(kPrefix);
  labels.Add("container_id", Text(container, "Id"))
      .Add("container_name", name)
      .Add("container_network_mode", NetworkMode(container))
      .Add("container_image", Text(container, "Image"))
      .Add("container_image_id", Text(container, "ImageID"));
  ForEachText(Child(container, "Labels"),
              [&](const std::string& key, const std::string& value) {
                labels.AddKey("container_label_", key, value);
              });
  return labels;
}

void AddTargets(const DockerConfig& config, const Json& container,
                const Json& network, MetaLabels labels,
                const NetworkLabels& network_labels, TargetGroup* group) {
  std::string ip = Text(network, "IPAddress");
  if (ip.empty()) ip = Text(network, "GlobalIPv6Address");
  labels.Add("network_ip", ip);
  const auto known = network_labels.find(Text(network, "NetworkID"));
  if (known != network_labels.end()) labels.Merge(known->second);
  bool added = false;
  const Json& ports = Child(container, "Ports");
  if (ports.is_list()) {
    for (const Json& port : ports) {
      if (Text(port, "Type") != "tcp") continue;
      MetaLabels target = labels;
      const std::int64_t private_port = Number(port, "PrivatePort");
      target.Add("port_private", private_port);
      if (const std::int64_t number = Number(port, "PublicPort"); number > 0) {
        target.Add("port_public", number)
            .Add("port_public_ip", Text(port, "IP"));
      }
      target.Address(JoinHostPort(ip, private_port));
      group->targets.push_back(target.Build());
      added = true;
    }
  }
  if (added) return;
  labels.Address(NetworkMode(container) == "host"
                     ? config.host_networking_host
                     : JoinHostPort(ip, config.port));
  group->targets.push_back(labels.Build());
}

absl::StatusOr<std::vector<TargetGroup>> Refresh(const DockerConfig& config,
                                                 const DockerApi& api,
                                                 Fetcher& fetcher) {
  auto containers = api.ListFiltered(fetcher, "/containers/json");
  NARTHEX_RETURN_IF_ERROR(
      base::Annotate(containers.status(), "error while listing containers"));
  auto network_labels = api.NetworkLabels(fetcher, kPrefix);
  NARTHEX_RETURN_IF_ERROR(base::Annotate(
      network_labels.status(), "error while computing network labels"));
  std::map<std::string, const Json*> all;
  for (const Json& container : *containers) {
    all.emplace(Text(container, "Id"), &container);
  }
  TargetGroup group;
  group.source = "Docker";
  for (const Json& container : *containers) {
    const std::vector<std::string> names = Texts(container, "Names");
    if (names.empty()) continue;
    const MetaLabels labels = CommonLabels(container, names.front());
    Networks networks = NetworksWithShared(container, all);
    if (config.match_first_network) KeepFirst(&networks);
    for (const auto& [name, network] : networks) {
      if (network->is_null()) continue;
      AddTargets(config, container, *network, labels, *network_labels, &group);
    }
  }
  return std::vector<TargetGroup>{std::move(group)};
}

}  // namespace

absl::Status Decode(const yaml::Node& node, DockerConfig* config) {
  yaml::Decoder d(node);
  http::DecodeClientConfig(d, &config->client);
  d.Field("port", &config->port);
  d.Field("filters", &config->filters);
  d.Field("host_networking_host", &config->host_networking_host);
  d.Duration("refresh_interval", &config->refresh_interval_ms);
  d.Field("match_first_network", &config->match_first_network);
  DecodeDockerHost(d, &config->host);
  return d.Done();
}

void Emit(const DockerConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  http::EmitClientConfig(config.client, out);
  out->Field("host", config.host);
  out->Field("port", std::int64_t{config.port});
  EmitFilters(config.filters, out);
  out->Field("host_networking_host", config.host_networking_host);
  out->Key("refresh_interval").Duration(config.refresh_interval_ms);
  out->Field("match_first_network", config.match_first_network);
  out->EndMap();
}

void SetDirectory(const std::string& directory, DockerConfig* config) {
  http::SetDirectory(directory, &config->client);
}

std::unique_ptr<Provider> MakeProvider(const DockerConfig& config,
                                       const ProviderContext& context) {
  const DockerApi api(config.host, config.filters, config.refresh_interval_ms);
  return std::make_unique<RefreshProvider>(
      RefreshProvider::Options{
          .mechanism = "docker",
          .interval_ms = config.refresh_interval_ms,
          .client = DockerClient(config.host, config.client)},
      context, [config, api](Fetcher& fetcher) {
        return Refresh(config, api, fetcher);
      });
}

}  // namespace narthex::discovery
