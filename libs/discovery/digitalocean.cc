#include "libs/discovery/digitalocean.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/discovery/json.h"
#include "libs/discovery/meta_labels.h"

namespace narthex::discovery {
namespace {

constexpr int kPageSize = 100;
constexpr int kMaxPages = 10'000;

/// Calls `visit` for all items of all pages of the list `name`.
template <typename Visit>
absl::Status ForEachItem(const DigitalOceanConfig& config, Fetcher& fetcher,
                         const char* name, const Visit& visit) {
  for (int page = 1; page <= kMaxPages; ++page) {
    const std::string url = absl::StrCat(
        config.endpoint, "/v2/", name, "?page=", page, "&per_page=", kPageSize);
    NARTHEX_ASSIGN_OR_RETURN(const std::string body, fetcher.Get(url));
    NARTHEX_ASSIGN_OR_RETURN(const Json answer, ParseJson(body));
    const Json& items = Child(answer, name);
    if (items.items().empty()) return absl::OkStatus();
    for (const Json& item : items) visit(item);
    const Json& pages = Child(Child(answer, "links"), "pages");
    if (Text(pages, "next").empty()) return absl::OkStatus();
  }
  return absl::OutOfRangeError(absl::StrCat(name, ": too many pages"));
}

/// The first address of that kind.
std::string AddressOf(const Json& addresses, const std::string& kind) {
  for (const Json& address : addresses) {
    if (Text(address, "type") == kind) return Text(address, "ip_address");
  }
  return "";
}

void AddList(const Json& object, const char* field, MetaLabels* labels) {
  const std::vector<std::string> items = Texts(object, field);
  if (!items.empty()) labels->Add(field, SurroundedList(items, ","));
}

void AddDroplet(const Json& droplet, int port, TargetGroup* group) {
  const Json& networks = Child(droplet, "networks");
  const Json& v4 = Child(networks, "v4");
  if (v4.items().empty()) return;
  const std::string address = AddressOf(v4, "public");
  const Json& image = Child(droplet, "image");
  MetaLabels labels("__meta_digitalocean_");
  labels.Address(JoinHostPort(address, port))
      .Add("droplet_id", Number(droplet, "id"))
      .Add("droplet_name", Text(droplet, "name"))
      .Add("image", Text(image, "slug"))
      .Add("image_name", Text(image, "name"))
      .Add("private_ipv4", AddressOf(v4, "private"))
      .Add("public_ipv4", address)
      .Add("public_ipv6", AddressOf(Child(networks, "v6"), "public"))
      .Add("region", Text(Child(droplet, "region"), "slug"))
      .Add("size", Text(droplet, "size_slug"))
      .Add("status", Text(droplet, "status"))
      .Add("vpc", Text(droplet, "vpc_uuid"));
  AddList(droplet, "features", &labels);
  AddList(droplet, "tags", &labels);
  group->targets.push_back(labels.Build());
}

void AddDatabase(const Json& database, int port, TargetGroup* group) {
  const std::string own = Text(Child(database, "connection"), "host");
  const std::string inner = Text(Child(database, "private_connection"), "host");
  MetaLabels labels("__meta_digitalocean_db_");
  labels.Add("id", Text(database, "id"))
      .Add("name", Text(database, "name"))
      .Add("engine", Text(database, "engine"))
      .Add("version", Text(database, "version"))
      .Add("status", Text(database, "status"))
      .Add("region", Text(database, "region"))
      .Add("size", Text(database, "size"))
      .Add("num_nodes", Number(database, "num_nodes"))
      .Add("host", own)
      .Add("private_host", inner);
  for (const std::string& tag : Texts(database, "tags")) {
    labels.Add(absl::StrCat("tag_", tag), "true");
  }
  const std::string& host = inner.empty() ? own : inner;
  if (!host.empty()) labels.Address(JoinHostPort(host, port));
  group->targets.push_back(labels.Build());
}

absl::StatusOr<std::vector<TargetGroup>> Refresh(
    const DigitalOceanConfig& config, Fetcher& fetcher) {
  const bool droplets = config.role == "droplets";
  TargetGroup group;
  group.source = droplets ? "DigitalOcean" : "DigitalOcean Databases";
  NARTHEX_RETURN_IF_ERROR(
      ForEachItem(config, fetcher, config.role.c_str(), [&](const Json& item) {
        (droplets ? AddDroplet : AddDatabase)(item, config.port, &group);
      }));
  return std::vector<TargetGroup>{std::move(group)};
}

}  // namespace

absl::Status Decode(const yaml::Node& node, DigitalOceanConfig* config) {
  yaml::Decoder d(node);
  DecodePolledApi(d, config);
  d.Field("role", &config->role);
  if (config->role != "droplets" && config->role != "databases") {
    d.Fail(absl::StrCat("unknown DigitalOcean SD role ",
                        base::Quote(config->role)));
  }
  return d.Done();
}

void Emit(const DigitalOceanConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  EmitPolledApi(config, out);
  out->Field("role", config.role);
  out->EndMap();
}

std::unique_ptr<Provider> MakeProvider(const DigitalOceanConfig& config,
                                       const ProviderContext& context) {
  return PollApi("digitalocean", config, context, [config](Fetcher& fetcher) {
    return Refresh(config, fetcher);
  });
}

}  // namespace narthex::discovery
