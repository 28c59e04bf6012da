#include "libs/discovery/vultr.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/discovery/json.h"
#include "libs/discovery/meta_labels.h"

namespace narthex::discovery {
namespace {

constexpr int kPageSize = 100;

model::Labels LabelsOf(const Json& instance, int port) {
  const std::string address = Text(instance, "main_ip");
  MetaLabels labels("__meta_vultr_instance_");
  labels.Address(JoinHostPort(address, port))
      .Add("id", Text(instance, "id"))
      .Add("label", Text(instance, "label"))
      .Add("os", Text(instance, "os"))
      .Add("os_id", Number(instance, "os_id"))
      .Add("region", Text(instance, "region"))
      .Add("plan", Text(instance, "plan"))
      .Add("main_ip", address)
      .Add("main_ipv6", Text(instance, "v6_main_ip"))
      .Add("internal_ip", Text(instance, "internal_ip"))
      .Add("hostname", Text(instance, "hostname"))
      .Add("server_status", Text(instance, "server_status"))
      .Add("vcpu_count", Number(instance, "vcpu_count"))
      .Add("ram_mb", Number(instance, "ram"))
      .Add("allowed_bandwidth_gb", Number(instance, "allowed_bandwidth"))
      .Add("disk_gb", Number(instance, "disk"));
  for (const char* list : {"features", "tags"}) {
    const std::vector<std::string> items = Texts(instance, list);
    if (!items.empty()) labels.Add(list, SurroundedList(items, ","));
  }
  return labels.Build();
}

absl::StatusOr<std::vector<TargetGroup>> Refresh(const VultrConfig& config,
                                                 Fetcher& fetcher) {
  TargetGroup group;
  group.source = "Vultr";
  std::string cursor;
  do {
    std::string url =
        absl::StrCat(config.endpoint, "/v2/instances?per_page=", kPageSize);
    if (!cursor.empty()) {
      absl::StrAppend(&url, "&cursor=", http::PercentEncode(cursor));
    }
    NARTHEX_ASSIGN_OR_RETURN(const std::string body, fetcher.Get(url));
    NARTHEX_ASSIGN_OR_RETURN(const Json answer, ParseJson(body));
    const Json& instances = Child(answer, "instances");
    if (!instances.is_list()) {
      return absl::InvalidArgumentError("instances: expected a list");
    }
    for (const Json& instance : instances) {
      group.targets.push_back(LabelsOf(instance, config.port));
    }
    std::string next = Text(Child(Child(answer, "meta"), "links"), "next");
    if (next == cursor) break;
    cursor = std::move(next);
  } while (!cursor.empty());
  return std::vector<TargetGroup>{std::move(group)};
}

}  // namespace

absl::Status Decode(const yaml::Node& node, VultrConfig* config) {
  yaml::Decoder d(node);
  DecodePolledApi(d, config);
  return d.Done();
}

void Emit(const VultrConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  EmitPolledApi(config, out);
  out->EndMap();
}

std::unique_ptr<Provider> MakeProvider(const VultrConfig& config,
                                       const ProviderContext& context) {
  return PollApi("vultr", config, context, [config](Fetcher& fetcher) {
    return Refresh(config, fetcher);
  });
}

}  // namespace narthex::discovery
