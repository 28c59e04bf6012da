#include "libs/discovery/scaleway.h"

#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/file.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/discovery/json.h"
#include "libs/discovery/meta_labels.h"
#include "libs/yaml/optional_fields.h"

namespace narthex::discovery {
namespace {

constexpr std::size_t kPageSize = 100;
constexpr int kMaxPages = 10'000;

/// Asks the API with the secret key, which may be in a file.
class ScalewayApi {
 public:
  ScalewayApi(const ScalewayConfig& config, Fetcher& fetcher)
      : config_(config), fetcher_(fetcher) {}

  /// All items of all pages of the list `name` at `path`. `query` is added to
  /// each URL.
  absl::StatusOr<std::vector<Json>> List(const std::string& path,
                                         const char* name,
                                         const std::string& query = {}) const {
    NARTHEX_ASSIGN_OR_RETURN(const http::Headers headers, Headers());
    std::vector<Json> items;
    for (int page = 1; page <= kMaxPages; ++page) {
      // Both names of the parameter are in use, one in each of the APIs.
      NARTHEX_ASSIGN_OR_RETURN(
          const std::string body,
          fetcher_.Get(absl::StrCat(config_.api_url, path, "?page=", page,
                                    "&per_page=", kPageSize,
                                    "&page_size=", kPageSize, query),
                       headers));
      NARTHEX_ASSIGN_OR_RETURN(const Json answer, ParseJson(body));
      const Json& list = Child(answer, name);
      if (!list.is_list()) {
        return absl::InvalidArgumentError(
            absl::StrCat(name, ": expected a list"));
      }
      items.insert(items.end(), list.begin(), list.end());
      if (list.items().size() < kPageSize) break;
    }
    return items;
  }

 private:
  absl::StatusOr<http::Headers> Headers() const {
    std::string key = config_.secret_key;
    if (!config_.secret_key_file.empty()) {
      auto content = base::ReadFile(config_.secret_key_file);
      NARTHEX_RETURN_IF_ERROR(base::Annotate(
          content.status(), absl::StrCat("unable to read auth token file ",
                                         config_.secret_key_file)));
      key = std::string(absl::StripAsciiWhitespace(*content));
    }
    return http::Headers{{"X-Auth-Token", key}};
  }

  const ScalewayConfig& config_;
  Fetcher& fetcher_;
};

std::string FilterQuery(const ScalewayConfig& config, bool tags_in_one) {
  std::string query;
  if (!config.name_filter.empty()) {
    absl::StrAppend(&query, "&name=", http::PercentEncode(config.name_filter));
  }
  if (config.tags_filter.empty()) return query;
  if (tags_in_one) {
    absl::StrAppend(
        &query,
        "&tags=", http::PercentEncode(absl::StrJoin(config.tags_filter, ",")));
    return query;
  }
  for (const std::string& tag : config.tags_filter) {
    absl::StrAppend(&query, "&tags=", http::PercentEncode(tag));
  }
  return query;
}

/// "fr-par" of "fr-par-1".
std::string RegionOf(const std::string& zone) {
  return zone.substr(0, zone.rfind('-'));
}

void AddTags(const Json& server, MetaLabels* labels) {
  const std::vector<std::string> tags = Texts(server, "tags");
  if (!tags.empty()) labels->Add("tags", SurroundedList(tags, ","));
}

/// The private IPv4 addresses of network cards by the card's id, for servers
/// that tell no address themselves.
absl::StatusOr<std::map<std::string, std::string>> PrivateAddresses(
    const ScalewayApi& api, const std::vector<Json>& servers) {
  std::map<std::string, std::string> queries;  // By region.
  for (const Json& server : servers) {
    const Json& nics = Child(server, "private_nics");
    if (!nics.is_list() || !Text(server, "private_ip").empty() ||
        !Child(server, "public_ip").is_null() ||
        !Child(server, "ipv6").is_null()) {
      continue;
    }
    for (const Json& nic : nics) {
      const std::string id = Text(nic, "id");
      if (id.empty()) continue;
      absl::StrAppend(&queries[RegionOf(Text(server, "zone"))],
                      "&resource_ids=", http::PercentEncode(id));
    }
  }
  std::map<std::string, std::string> addresses;
  for (const auto& [region, query] : queries) {
    NARTHEX_ASSIGN_OR_RETURN(
        const std::vector<Json> ips,
        api.List(absl::StrCat("/ipam/v1/regions/", region, "/ips"), "ips",
                 absl::StrCat(query, "&resource_types=instance_private_nic")));
    for (const Json& ip : ips) {
      if (Flag(ip, "is_ipv6")) continue;
      const std::string address = Text(ip, "address");
      addresses[Text(Child(ip, "resource"), "id")] =
          address.substr(0, address.find('/'));
    }
  }
  return addresses;
}

/// Adds the addresses of an instance; returns the one to scrape, if any.
std::string AddAddresses(const Json& server,
                         const std::map<std::string, std::string>& private_ips,
                         MetaLabels* labels) {
  std::vector<std::string> v4;
  std::vector<std::string> v6;
  const Json& public_ips = Child(server, "public_ips");
  if (public_ips.is_list()) {
    for (const Json& ip : public_ips) {
      const std::string family = Text(ip, "family");
      if (family == "inet") v4.push_back(Text(ip, "address"));
      if (family == "inet6") v6.push_back(Text(ip, "address"));
    }
  }
  if (!v4.empty()) {
    labels->Add("public_ipv4_addresses", SurroundedList(v4, ","));
  }
  if (!v6.empty()) {
    labels->Add("public_ipv6_addresses", SurroundedList(v6, ","));
  }
  std::string scraped;
  if (const Json& ip = Child(server, "ipv6"); !ip.is_null()) {
    scraped = Text(ip, "address");
    labels->Add("public_ipv6", scraped);
  }
  if (const Json& ip = Child(server, "public_ip"); !ip.is_null()) {
    scraped = Text(ip, "address");
    if (Text(ip, "family") != "inet6") labels->Add("public_ipv4", scraped);
  }
  if (const std::string ip = Text(server, "private_ip"); !ip.empty()) {
    scraped = ip;
    labels->Add("private_ipv4", ip);
  }
  const Json& nics = Child(server, "private_nics");
  if (!scraped.empty() || !nics.is_list()) return scraped;
  for (const Json& nic : nics) {
    const auto known = private_ips.find(Text(nic, "id"));
    if (known == private_ips.end() || known->second.empty()) continue;
    labels->Add("private_ipv4", known->second);
    return known->second;
  }
  return scraped;
}

MetaLabels InstanceLabels(const Json& server) {
  const Json& image = Child(server, "image");
  const Json& location = Child(server, "location");
  const Json& security_group = Child(server, "security_group");
  const std::string zone = Text(server, "zone");
  MetaLabels labels("__meta_scaleway_instance_");
  labels.Add("boot_type", Text(server, "boot_type"))
      .Add("hostname", Text(server, "hostname"))
      .Add("id", Text(server, "id"))
      .Add("name", Text(server, "name"))
      .Add("organization_id", Text(server, "organization"))
      .Add("project_id", Text(server, "project"))
      .Add("status", Text(server, "state"))
      .Add("type", Text(server, "commercial_type"))
      .Add("zone", zone)
      .Add("region", RegionOf(zone))
      .Add("image_arch", Text(image, "arch"))
      .Add("image_id", Text(image, "id"))
      .Add("image_name", Text(image, "name"))
      .Add("location_cluster_id", Text(location, "cluster_id"))
      .Add("location_hypervisor_id", Text(location, "hypervisor_id"))
      .Add("location_node_id", Text(location, "node_id"))
      .Add("security_group_id", Text(security_group, "id"))
      .Add("security_group_name", Text(security_group, "name"));
  AddTags(server, &labels);
  return labels;
}

absl::Status FindInstances(const ScalewayConfig& config, const ScalewayApi& api,
                           TargetGroup* group) {
  NARTHEX_ASSIGN_OR_RETURN(
      const std::vector<Json> servers,
      api.List(absl::StrCat("/instance/v1/zones/", config.zone, "/servers"),
               "servers", FilterQuery(config, /*tags_in_one=*/true)));
  NARTHEX_ASSIGN_OR_RETURN(const auto private_ips,
                           PrivateAddresses(api, servers));
  for (const Json& server : servers) {
    MetaLabels labels = InstanceLabels(server);
    const std::string address = AddAddresses(server, private_ips, &labels);
    if (address.empty()) continue;
    labels.Address(JoinHostPort(address, config.port));
    group->targets.push_back(labels.Build());
  }
  return absl::OkStatus();
}

/// The items of a list by their id.
std::map<std::string, const Json*> ById(const std::vector<Json>& items) {
  std::map<std::string, const Json*> out;
  for (const Json& item : items) out.emplace(Text(item, "id"), &item);
  return out;
}

const Json& Find(const std::map<std::string, const Json*>& items,
                 const std::string& id) {
  static const Json kNull;
  const auto it = items.find(id);
  return it == items.end() ? kNull : *it->second;
}

/// The first address of each version; IPv4 is preferred for scraping.
absl::Status AddBaremetalAddresses(const Json& server, int port,
                                   MetaLabels* labels) {
  const Json& ips = Child(server, "ips");
  if (!ips.is_list()) return absl::OkStatus();
  std::string v4;
  std::string v6;
  for (const Json& ip : ips) {
    const std::string version = Text(ip, "version");
    if (version != "IPv4" && version != "IPv6") {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown IP version: ", version));
    }
    std::string& first = version == "IPv4" ? v4 : v6;
    if (first.empty()) first = Text(ip, "address");
  }
  labels->Add("public_ipv4", v4).Add("public_ipv6", v6);
  const std::string& address = v4.empty() ? v6 : v4;
  if (!address.empty()) labels->Address(JoinHostPort(address, port));
  return absl::OkStatus();
}

absl::Status FindBaremetal(const ScalewayConfig& config, const ScalewayApi& api,
                           TargetGroup* group) {
  const std::string zone = absl::StrCat("/baremetal/v1/zones/", config.zone);
  NARTHEX_ASSIGN_OR_RETURN(
      const std::vector<Json> servers,
      api.List(zone + "/servers", "servers",
               FilterQuery(config, /*tags_in_one=*/false)));
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<Json> offers,
                           api.List(zone + "/offers", "offers"));
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<Json> systems,
                           api.List(zone + "/os", "os"));
  const auto offers_by_id = ById(offers);
  const auto systems_by_id = ById(systems);
  for (const Json& server : servers) {
    const Json& os =
        Find(systems_by_id, Text(Child(server, "install"), "os_id"));
    MetaLabels labels("__meta_scaleway_baremetal_");
    labels.Add("id", Text(server, "id"))
        .Add("name", Text(server, "name"))
        .Add("zone", Text(server, "zone"))
        .Add("status", Text(server, "status"))
        .Add("project_id", Text(server, "project_id"))
        .Add("type", Text(Find(offers_by_id, Text(server, "offer_id")), "name"))
        .Add("os_name", Text(os, "name"))
        .Add("os_version", Text(os, "version"));
    AddTags(server, &labels);
    NARTHEX_RETURN_IF_ERROR(
        AddBaremetalAddresses(server, config.port, &labels));
    group->targets.push_back(labels.Build());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<TargetGroup>> Refresh(const ScalewayConfig& config,
                                                 Fetcher& fetcher) {
  TargetGroup group;
  group.source = "scaleway";
  const ScalewayApi api(config, fetcher);
  NARTHEX_RETURN_IF_ERROR((config.role == "baremetal"
                               ? FindBaremetal
                               : FindInstances)(config, api, &group));
  return std::vector<TargetGroup>{std::move(group)};
}

void Check(yaml::Decoder& d, const ScalewayConfig& config) {
  const bool has_key = !config.secret_key.empty();
  const bool has_file = !config.secret_key_file.empty();
  if (config.role.empty()) {
    d.Fail("role missing (one of: instance, baremetal)");
  } else if (config.role != "instance" && config.role != "baremetal") {
    d.Fail(absl::StrCat("unknown role ", base::Quote(config.role)));
  } else if (config.project_id.empty()) {
    d.Fail("project_id is mandatory");
  } else if (!has_key && !has_file) {
    d.Fail("one of secret_key & secret_key_file must be configured");
  } else if (has_key && has_file) {
    d.Fail("at most one of secret_key & secret_key_file must be configured");
  } else if (config.access_key.empty()) {
    d.Fail("access_key is mandatory");
  }
}

}  // namespace

absl::Status Decode(const yaml::Node& node, ScalewayConfig* config) {
  yaml::Decoder d(node);
  d.Field("project_id", &config->project_id);
  d.Field("api_url", &config->api_url);
  d.Field("zone", &config->zone);
  d.Field("access_key", &config->access_key);
  d.Field("secret_key", &config->secret_key);
  d.Field("secret_key_file", &config->secret_key_file);
  d.Field("name_filter", &config->name_filter);
  d.Field("tags_filter", &config->tags_filter);
  DecodePolledApi(d, config);
  d.Field("role", &config->role);
  Check(d, *config);
  return d.Done();
}

void Emit(const ScalewayConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  out->Field("project_id", config.project_id);
  yaml::EmitText("api_url", config.api_url, out);
  out->Field("zone", config.zone);
  out->Field("access_key", config.access_key);
  out->Field("secret_key",
             config.secret_key.empty() ? "" : yaml::kHiddenSecret);
  out->Field("secret_key_file", config.secret_key_file);
  yaml::EmitText("name_filter", config.name_filter, out);
  yaml::EmitList("tags_filter", config.tags_filter, out);
  EmitPolledApi(config, out);
  out->Field("role", config.role);
  out->EndMap();
}

void SetDirectory(const std::string& directory, ScalewayConfig* config) {
  base::SetDirectory(directory, &config->secret_key_file);
  http::SetDirectory(directory, &config->client);
}

std::unique_ptr<Provider> MakeProvider(const ScalewayConfig& config,
                                       const ProviderContext& context) {
  return PollApi("scaleway", config, context, [config](Fetcher& fetcher) {
    return Refresh(config, fetcher);
  });
}

}  // namespace narthex::discovery
