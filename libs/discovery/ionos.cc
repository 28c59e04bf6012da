#include "libs/discovery/ionos.h"

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/discovery/json.h"
#include "libs/discovery/meta_labels.h"

namespace narthex::discovery {
namespace {

constexpr char kUnnamedNic[] = "unnamed";

/// The items of a collection, which has none when it is left out.
std::vector<const Json*> ItemsOf(const Json& collection) {
  std::vector<const Json*> out;
  const Json& items = Child(collection, "items");
  if (!items.is_list()) return out;
  for (const Json& item : items) out.push_back(&item);
  return out;
}

/// The addresses of all network cards, those of the last card first, and by
/// the card's name.
struct Addresses {
  std::vector<std::string> all;
  std::map<std::string, std::vector<std::string>> by_nic;
};

Addresses AddressesOf(const Json& server) {
  Addresses out;
  const Json& nics = Child(Child(server, "entities"), "nics");
  for (const Json* nic : ItemsOf(nics)) {
    const Json& properties = Child(*nic, "properties");
    if (!properties.is_map()) continue;
    const Json& name = Child(properties, "name");
    const std::vector<std::string> ips = Texts(properties, "ips");
    auto& of_nic = out.by_nic[name.is_text() ? name.text() : kUnnamedNic];
    out.all.insert(out.all.begin(), ips.begin(), ips.end());
    of_nic.insert(of_nic.begin(), ips.begin(), ips.end());
  }
  return out;
}

void AddServer(const Json& server, const std::string& servers_id, int port,
               TargetGroup* group) {
  const Addresses addresses = AddressesOf(server);
  if (addresses.all.empty()) return;
  const Json& properties = Child(server, "properties");
  MetaLabels labels("__meta_ionos_server_");
  labels.Address(JoinHostPort(addresses.all.front(), port))
      .Add("ip", SurroundedList(addresses.all, ","))
      .Add("availability_zone", Text(properties, "availabilityZone"))
      .Add("cpu_family", Text(properties, "cpuFamily"))
      .Add("servers_id", servers_id)
      .Add("id", Text(server, "id"))
      .Add("lifecycle", Text(Child(server, "metadata"), "state"))
      .Add("name", Text(properties, "name"))
      .Add("state", Text(properties, "vmState"))
      .Add("type", Text(properties, "type"))
      .Add("boot_cdrom_id", Text(Child(properties, "bootCdrom"), "id"))
      .Add("boot_volume_id", Text(Child(properties, "bootVolume"), "id"));
  for (const auto& [nic, ips] : addresses.by_nic) {
    labels.AddKey("nic_ip_", nic, SurroundedList(ips, ","));
  }
  const auto volumes = ItemsOf(Child(Child(server, "entities"), "volumes"));
  if (!volumes.empty()) {
    labels.Add("boot_image_id",
               Text(Child(*volumes.front(), "properties"), "image"));
  }
  group->targets.push_back(labels.Build());
}

absl::StatusOr<std::vector<TargetGroup>> Refresh(const IonosConfig& config,
                                                 Fetcher& fetcher) {
  constexpr int kDepth = 3;  // Servers, what they have, and its properties.
  NARTHEX_ASSIGN_OR_RETURN(
      const std::string body,
      fetcher.Get(absl::StrCat(config.endpoint, "/cloudapi/v6/datacenters/",
                               http::PercentEncode(config.datacenter_id),
                               "/servers?depth=", kDepth)));
  NARTHEX_ASSIGN_OR_RETURN(const Json servers, ParseJson(body));
  if (!servers.is_map()) {
    return absl::InvalidArgumentError("expected a collection of servers");
  }
  TargetGroup group;
  group.source = "ionos";
  for (const Json* server : ItemsOf(servers)) {
    AddServer(*server, Text(servers, "id"), config.port, &group);
  }
  return std::vector<TargetGroup>{std::move(group)};
}

}  // namespace

absl::Status Decode(const yaml::Node& node, IonosConfig* config) {
  yaml::Decoder d(node);
  d.Field("datacenter_id", &config->datacenter_id);
  DecodePolledApi(d, config);
  if (config->datacenter_id.empty()) d.Fail("datacenter id can't be empty");
  return d.Done();
}

void Emit(const IonosConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  out->Field("datacenter_id", config.datacenter_id);
  EmitPolledApi(config, out);
  out->EndMap();
}

std::unique_ptr<Provider> MakeProvider(const IonosConfig& config,
                                       const ProviderContext& context) {
  return PollApi("ionos", config, context, [config](Fetcher& fetcher) {
    return Refresh(config, fetcher);
  });
}

}  // namespace narthex::discovery
