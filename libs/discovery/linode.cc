#include "libs/discovery/linode.h"

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/discovery/json.h"
#include "libs/discovery/meta_labels.h"
#include "libs/yaml/optional_fields.h"

namespace narthex::discovery {
namespace {

constexpr int kPageSize = 500;
constexpr std::int64_t kMebibyte = 1 << 20;

/// All items of all pages of a list.
absl::StatusOr<std::vector<Json>> List(const LinodeConfig& config,
                                       Fetcher& fetcher,
                                       const std::string& path) {
  http::Headers headers;
  if (!config.region.empty()) {
    headers.Set("X-Filter", Json::Map({{"region", config.region}}).Dump());
  }
  std::vector<Json> items;
  std::int64_t pages = 1;
  for (std::int64_t page = 1; page <= pages; ++page) {
    NARTHEX_ASSIGN_OR_RETURN(
        const std::string body,
        fetcher.Get(absl::StrCat(config.endpoint, "/v4/", path, "?page=", page,
                                 "&page_size=", kPageSize),
                    headers));
    NARTHEX_ASSIGN_OR_RETURN(const Json answer, ParseJson(body));
    const Json& data = Child(answer, "data");
    if (!data.is_list()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": expected a list"));
    }
    items.insert(items.end(), data.begin(), data.end());
    pages = Number(answer, "pages");
  }
  return items;
}

/// Addresses by themselves, ranges by where they are routed to.
struct Networking {
  std::multimap<std::string, Json> addresses;
  std::multimap<std::string, std::string> ranges;
};

/// The name of an address, which may be the text "null".
std::string NameOf(const Json& address) {
  std::string name = Text(address, "rdns");
  return name == "null" ? "" : name;
}

/// Adds the addresses of an instance; returns the public IPv4 address.
std::string AddIPv4(const Json& instance, const Networking& networking,
                    const std::string& separator, MetaLabels* labels) {
  std::string public_ip;
  std::string private_ip;
  std::vector<std::string> extra;
  for (const std::string& ip : Texts(instance, "ipv4")) {
    const auto [begin, end] = networking.addresses.equal_range(ip);
    for (auto it = begin; it != end; ++it) {
      const bool is_public = Flag(it->second, "public");
      std::string& first = is_public ? public_ip : private_ip;
      if (!first.empty()) {
        extra.push_back(ip);
        continue;
      }
      first = ip;
      const std::string name = is_public ? "public_ipv4" : "private_ipv4";
      labels->Add(name, ip).Add(name + "_rdns", NameOf(it->second));
    }
  }
  if (!extra.empty())
    labels->Add("extra_ips", SurroundedList(extra, separator));
  return public_ip;
}

void AddIPv6(const Json& instance, const Networking& networking,
             const std::string& separator, MetaLabels* labels) {
  const std::string network = Text(instance, "ipv6");
  if (network.empty()) return;
  const std::string address = network.substr(0, network.find('/'));
  const auto known = networking.addresses.find(address);
  if (known != networking.addresses.end()) {
    labels->Add("public_ipv6", address)
        .Add("public_ipv6_rdns", NameOf(known->second));
  }
  std::vector<std::string> ranges;
  const auto [begin, end] = networking.ranges.equal_range(address);
  for (auto it = begin; it != end; ++it) ranges.push_back(it->second);
  if (!ranges.empty()) {
    labels->Add("ipv6_ranges", SurroundedList(ranges, separator));
  }
}

model::Labels LabelsOf(const Json& instance, const Networking& networking,
                       const LinodeConfig& config) {
  const Json& specs = Child(instance, "specs");
  const bool backups = Flag(Child(instance, "backups"), "enabled");
  MetaLabels labels("__meta_linode_");
  labels.Add("instance_id", Number(instance, "id"))
      .Add("instance_label", Text(instance, "label"))
      .Add("image", Text(instance, "image"))
      .Add("region", Text(instance, "region"))
      .Add("type", Text(instance, "type"))
      .Add("status", Text(instance, "status"))
      .Add("group", Text(instance, "group"))
      .Add("gpus", Number(specs, "gpus"))
      .Add("hypervisor", Text(instance, "hypervisor"))
      .Add("backups", backups ? "enabled" : "disabled")
      .Add("specs_disk_bytes", Number(specs, "disk") * kMebibyte)
      .Add("specs_memory_bytes", Number(specs, "memory") * kMebibyte)
      .Add("specs_vcpus", Number(specs, "vcpus"))
      .Add("specs_transfer_bytes", Number(specs, "transfer") * kMebibyte);
  const std::vector<std::string> tags = Texts(instance, "tags");
  if (!tags.empty()) {
    labels.Add("tags", SurroundedList(tags, config.tag_separator));
  }
  AddIPv6(instance, networking, config.tag_separator, &labels);
  const std::string address =
      AddIPv4(instance, networking, config.tag_separator, &labels);
  return labels.Address(JoinHostPort(address, config.port)).Build();
}

absl::StatusOr<std::vector<TargetGroup>> Refresh(const LinodeConfig& config,
                                                 Fetcher& fetcher) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<Json> instances,
                           List(config, fetcher, "linode/instances"));
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<Json> addresses,
                           List(config, fetcher, "networking/ips"));
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<Json> ranges,
                           List(config, fetcher, "networking/ipv6/ranges"));
  Networking networking;
  for (const Json& address : addresses) {
    networking.addresses.emplace(Text(address, "address"), address);
  }
  for (const Json& range : ranges) {
    networking.ranges.emplace(
        Text(range, "route_target"),
        absl::StrCat(Text(range, "range"), "/", Number(range, "prefix")));
  }
  TargetGroup group;
  group.source = "Linode";
  for (const Json& instance : instances) {
    if (Texts(instance, "ipv4").empty()) continue;
    group.targets.push_back(LabelsOf(instance, networking, config));
  }
  return std::vector<TargetGroup>{std::move(group)};
}

}  // namespace

absl::Status Decode(const yaml::Node& node, LinodeConfig* config) {
  yaml::Decoder d(node);
  DecodePolledApi(d, config);
  d.Field("tag_separator", &config->tag_separator);
  d.Field("region", &config->region);
  return d.Done();
}

void Emit(const LinodeConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  EmitPolledApi(config, out);
  yaml::EmitText("tag_separator", config.tag_separator, out);
  yaml::EmitText("region", config.region, out);
  out->EndMap();
}

std::unique_ptr<Provider> MakeProvider(const LinodeConfig& config,
                                       const ProviderContext& context) {
  metrics::Counter& failures = context.metrics.registry.NewCounter(
      "prometheus_sd_linode_failures_total",
      "Number of Linode service discovery refresh failures.");
  return PollApi("linode", config, context,
                 [config, &failures](Fetcher& fetcher) {
                   auto groups = Refresh(config, fetcher);
                   if (!groups.ok()) failures.Inc();
                   return groups;
                 });
}

}  // namespace narthex::discovery
