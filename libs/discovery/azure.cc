#include "libs/discovery/azure.h"

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/clock.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/discovery/azure_api.h"
#include "libs/discovery/meta_labels.h"
#include "libs/discovery/refresh_provider.h"
#include "libs/yaml/optional_fields.h"

namespace narthex::discovery {
namespace {

constexpr char kComputeVersion[] = "?api-version=2023-09-01";
constexpr char kNetworkVersion[] =
    "?api-version=2023-09-01&$expand=IPConfigurations/PublicIPAddress";
constexpr char kScaleSetNetworkVersion[] =
    "?api-version=2018-10-01&$expand=IPConfigurations/PublicIPAddress";
/// Interfaces are asked for again after so many refreshes.
constexpr std::int64_t kKeptRefreshes = 10;

absl::StatusOr<AzureCloud> CloudOf(const std::string& name) {
  const std::string upper = absl::AsciiStrToUpper(name);
  if (upper == "AZURECHINACLOUD") {
    return AzureCloud{"https://login.chinacloudapi.cn",
                      "https://management.chinacloudapi.cn"};
  }
  if (upper == "AZUREUSGOVERNMENT" || upper == "AZUREUSGOVERNMENTCLOUD") {
    return AzureCloud{"https://login.microsoftonline.us",
                      "https://management.usgovcloudapi.net"};
  }
  if (upper == "AZURECLOUD" || upper == "AZUREPUBLICCLOUD" ||
      upper == "AZUREGERMANCLOUD") {
    return AzureCloud{"https://login.microsoftonline.com",
                      "https://management.azure.com"};
  }
  return absl::InvalidArgumentError(
      absl::StrCat("there is no cloud configuration matching the name ",
                   base::Quote(upper)));
}

/// The part of a resource's id that follows "resourceGroups".
std::string ResourceGroupOf(const std::string& id) {
  const std::vector<std::string> parts = absl::StrSplit(id, '/');
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    if (absl::EqualsIgnoreCase(parts[i], "resourceGroups")) {
      return parts[i + 1];
    }
  }
  return "";
}

std::string LastPart(const std::string& id) {
  return id.substr(id.rfind('/') + 1);
}

/// What a network interface says about its machine.
struct Interface {
  std::optional<bool> primary;
  bool has_address = false;
  std::string private_ip;
  std::string public_ip;
};

Interface ReadInterface(const Json& json) {
  const Json& properties = Child(json, "properties");
  Interface out;
  if (Child(properties, "primary").is_boolean()) {
    out.primary = Flag(properties, "primary");
  }
  const Json& configurations = Child(properties, "ipConfigurations");
  if (configurations.items().empty()) return out;
  const Json& ip = Child(configurations.items()[0], "properties");
  out.has_address = true;
  out.private_ip = Text(ip, "privateIPAddress");
  out.public_ip =
      Text(Child(Child(ip, "publicIPAddress"), "properties"), "ipAddress");
  return out;
}

class Azure {
 public:
  Azure(const AzureConfig& config, const AzureCloud& cloud)
      : config_(config), api_(config_, cloud) {}

  absl::StatusOr<std::vector<TargetGroup>> Refresh(Fetcher& fetcher,
                                                   metrics::Counter& hits) {
    std::vector<Machine> machines;
    NARTHEX_RETURN_IF_ERROR(
        base::Annotate(api_.ForEach(fetcher, ListPath("virtualMachines"),
                                    [&](const Json& machine) {
                                      machines.push_back({machine, ""});
                                    }),
                       "could not get virtual machines"));
    std::vector<std::pair<std::string, std::string>> sets;
    NARTHEX_RETURN_IF_ERROR(base::Annotate(
        api_.ForEach(fetcher, ListPath("virtualMachineScaleSets"),
                     [&](const Json& set) {
                       sets.emplace_back(ResourceGroupOf(Text(set, "id")),
                                         Text(set, "name"));
                     }),
        "could not get virtual machine scale sets"));
    for (const auto& [group, name] : sets) {
      const std::string set = name;
      NARTHEX_RETURN_IF_ERROR(base::Annotate(
          api_.ForEach(fetcher,
                       absl::StrCat(GroupPath(group),
                                    "/providers/Microsoft.Compute/"
                                    "virtualMachineScaleSets/",
                                    set, "/virtualMachines", kComputeVersion),
                       [&](const Json& machine) {
                         machines.push_back({machine, set});
                       }),
          "could not get virtual machine scale set vms"));
    }
    NARTHEX_RETURN_IF_ERROR(FetchInterfaces(fetcher, machines));
    TargetGroup group;
    for (const Machine& machine : machines) {
      NARTHEX_RETURN_IF_ERROR(
          base::Annotate(AddMachine(fetcher, machine, hits, &group),
                         "unable to complete Azure service discovery"));
    }
    return std::vector<TargetGroup>{std::move(group)};
  }

 private:
  struct Machine {
    Json json;
    std::string scale_set;
  };
  struct Kept {
    Interface interface;
    std::int64_t until_ns = 0;
    /// Asked for in this refresh and not used yet.
    bool is_new = false;
  };

  std::string GroupPath(const std::string& group) const {
    return absl::StrCat("/subscriptions/", config_.subscription_id,
                        "/resourceGroups/", group);
  }

  std::string ListPath(const char* kind) const {
    const std::string scope =
        config_.resource_group.empty()
            ? absl::StrCat("/subscriptions/", config_.subscription_id)
            : GroupPath(config_.resource_group);
    return absl::StrCat(scope, "/providers/Microsoft.Compute/", kind,
                        kComputeVersion);
  }

  /// Nullopt when the interface is gone.
  absl::StatusOr<std::optional<Interface>> FindInterface(
      Fetcher& fetcher, const std::string& id, const Machine& machine,
      metrics::Counter& hits) {
    const std::int64_t now = base::Clock::System().MonotonicNs();
    const auto known = interfaces_.find(id);
    if (known != interfaces_.end() && now < known->second.until_ns) {
      if (!std::exchange(known->second.is_new, false)) hits.Inc();
      return known->second.interface;
    }
    const auto json = api_.Get(fetcher, InterfacePath(id, machine));
    if (absl::IsNotFound(json.status())) return std::nullopt;
    NARTHEX_RETURN_IF_ERROR(json);
    Keep(id, *json).is_new = false;
    return interfaces_[id].interface;
  }

  Kept& Keep(const std::string& id, const Json& json) {
    Kept& kept = interfaces_[id];
    kept.interface = ReadInterface(json);
    kept.until_ns = base::Clock::System().MonotonicNs() +
                    kKeptRefreshes * config_.refresh_interval_ms * 1'000'000;
    kept.is_new = true;
    return kept;
  }

  std::string InterfacePath(const std::string& id,
                            const Machine& machine) const {
    const std::string group = GroupPath(ResourceGroupOf(id));
    if (machine.scale_set.empty()) {
      return absl::StrCat(group,
                          "/providers/Microsoft.Network/networkInterfaces/",
                          LastPart(id), kNetworkVersion);
    }
    return absl::StrCat(group,
                        "/providers/microsoft.Compute/virtualMachineScaleSets/",
                        machine.scale_set, "/virtualMachines/",
                        Text(machine.json, "instanceId"), "/networkInterfaces/",
                        LastPart(id), kScaleSetNetworkVersion);
  }

  /// Asks for all interfaces that are not known, many at once. What cannot be
  /// read is asked for again, and complained of, where it is needed.
  absl::Status FetchInterfaces(Fetcher& fetcher,
                               const std::vector<Machine>& machines) {
    const std::int64_t now = base::Clock::System().MonotonicNs();
    std::vector<std::string> ids;
    std::vector<std::string> paths;
    for (const Machine& machine : machines) {
      const Json& profile =
          Child(Child(machine.json, "properties"), "networkProfile");
      for (const Json& reference : Child(profile, "networkInterfaces")) {
        const std::string id = Text(reference, "id");
        const auto known = interfaces_.find(id);
        if (known != interfaces_.end() && now < known->second.until_ns) {
          continue;
        }
        ids.push_back(id);
        paths.push_back(InterfacePath(id, machine));
      }
    }
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<Json> found,
                             api_.GetAll(fetcher, paths));
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (found[i].is_map()) Keep(ids[i], found[i]);
    }
    return absl::OkStatus();
  }

  absl::Status AddMachine(Fetcher& fetcher, const Machine& machine,
                          metrics::Counter& hits, TargetGroup* group) {
    const Json& properties = Child(machine.json, "properties");
    for (const Json& reference :
         Child(Child(properties, "networkProfile"), "networkInterfaces")) {
      NARTHEX_ASSIGN_OR_RETURN(
          const std::optional<Interface> interface,
          FindInterface(fetcher, Text(reference, "id"), machine, hits));
      // Without a word about its rank the machine has been deallocated.
      if (!interface.has_value() || !interface->primary.has_value()) break;
      if (!*interface->primary || !interface->has_address) continue;
      if (interface->private_ip.empty()) {
        return absl::UnavailableError(absl::StrCat(
            "unable to find a private IP for VM ", Text(machine.json, "name")));
      }
      group->targets.push_back(LabelsOf(machine, *interface));
      break;
    }
    return absl::OkStatus();
  }

  model::Labels LabelsOf(const Machine& machine,
                         const Interface& interface) const {
    const Json& json = machine.json;
    const Json& properties = Child(json, "properties");
    const std::string id = Text(json, "id");
    MetaLabels labels("__meta_azure_");
    labels.Address(JoinHostPort(interface.private_ip, config_.port))
        .Add("subscription_id", config_.subscription_id)
        .Add("tenant_id", config_.tenant_id)
        .Add("machine_id", id)
        .Add("machine_name", Text(json, "name"))
        .Add("machine_computer_name",
             Text(Child(properties, "osProfile"), "computerName"))
        .Add("machine_os_type",
             Text(Child(Child(properties, "storageProfile"), "osDisk"),
                  "osType"))
        .Add("machine_location", Text(json, "location"))
        .Add("machine_resource_group", ResourceGroupOf(id))
        .Add("machine_size",
             Text(Child(properties, "hardwareProfile"), "vmSize"))
        .Add("machine_scale_set", machine.scale_set)
        .Add("machine_private_ip", interface.private_ip)
        .Add("machine_public_ip", interface.public_ip);
    ForEachText(Child(json, "tags"),
                [&](const std::string& key, const std::string& value) {
                  labels.AddKey("machine_tag_", key, value);
                });
    return labels.Build();
  }

  const AzureConfig config_;
  AzureApi api_;
  std::map<std::string, Kept> interfaces_;
};

std::unique_ptr<Provider> Make(const AzureConfig& config,
                               const ProviderContext& context,
                               const absl::StatusOr<AzureCloud>& cloud) {
  metrics::Counter& failures = context.metrics.registry.NewCounter(
      "prometheus_sd_azure_failures_total",
      "Number of Azure service discovery refresh failures.");
  metrics::Counter& hits = context.metrics.registry.NewCounter(
      "prometheus_sd_azure_cache_hit_total",
      "Number of cache hit during refresh.");
  const absl::Status status =
      base::Annotate(cloud.status(), "could not create Azure client");
  auto azure = std::make_shared<Azure>(config, cloud.value_or(AzureCloud()));
  return std::make_unique<RefreshProvider>(
      RefreshProvider::Options{
          .mechanism = "azure",
          .interval_ms = config.refresh_interval_ms,
          .client = std::make_shared<http::ClientConfig>(config.client)},
      context,
      [azure, status, &failures,
       &hits](Fetcher& fetcher) -> absl::StatusOr<std::vector<TargetGroup>> {
        if (!status.ok()) {
          failures.Inc();
          return status;
        }
        auto groups = azure->Refresh(fetcher, hits);
        if (!groups.ok()) failures.Inc();
        return groups;
      });
}

}  // namespace

absl::Status Decode(const yaml::Node& node, AzureConfig* config) {
  yaml::Decoder d(node);
  d.Field("environment", &config->environment);
  d.Field("port", &config->port);
  d.Field("subscription_id", &config->subscription_id);
  d.Field("tenant_id", &config->tenant_id);
  d.Field("client_id", &config->client_id);
  d.Field("client_secret", &config->client_secret);
  d.Duration("refresh_interval", &config->refresh_interval_ms);
  d.Field("authentication_method", &config->authentication_method);
  d.Field("resource_group", &config->resource_group);
  http::DecodeClientConfig(d, &config->client);
  const auto require = [&d](const std::string& value, const char* name) {
    if (value.empty()) {
      d.Fail(absl::StrCat("azure SD configuration requires a ", name));
    }
  };
  require(config->subscription_id, "subscription_id");
  const std::string& method = config->authentication_method;
  if (method == "OAuth") {
    require(config->tenant_id, "tenant_id");
    require(config->client_id, "client_id");
    require(config->client_secret, "client_secret");
  } else if (method != "ManagedIdentity" && method != "SDK" &&
             method != "WorkloadIdentity") {
    d.Fail(absl::StrCat("unknown authentication_type ", base::Quote(method),
                        ". Supported types are \"OAuth\", "
                        "\"ManagedIdentity\", \"SDK\" or "
                        "\"WorkloadIdentity\""));
  }
  return d.Done();
}

void Emit(const AzureConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  yaml::EmitText("environment", config.environment, out);
  out->Field("port", std::int64_t{config.port});
  out->Field("subscription_id", config.subscription_id);
  yaml::EmitText("tenant_id", config.tenant_id, out);
  yaml::EmitText("client_id", config.client_id, out);
  yaml::EmitSecret("client_secret", config.client_secret, out);
  yaml::EmitDuration("refresh_interval", config.refresh_interval_ms, out);
  yaml::EmitText("authentication_method", config.authentication_method, out);
  yaml::EmitText("resource_group", config.resource_group, out);
  http::EmitClientConfig(config.client, out);
  out->EndMap();
}

void SetDirectory(const std::string& directory, AzureConfig* config) {
  http::SetDirectory(directory, &config->client);
}

std::unique_ptr<Provider> MakeProvider(const AzureConfig& config,
                                       const ProviderContext& context) {
  return Make(config, context, CloudOf(config.environment));
}

std::unique_ptr<Provider> MakeAzureProvider(const AzureConfig& config,
                                            const ProviderContext& context,
                                            const AzureCloud& cloud) {
  return Make(config, context, cloud);
}

}  // namespace narthex::discovery
