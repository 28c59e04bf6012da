#include "libs/discovery/lightsail.h"

#include <utility>

#include "libs/base/status.h"
#include "libs/discovery/meta_labels.h"
#include "libs/yaml/optional_fields.h"

namespace narthex::discovery {
namespace {

void AddInstance(const Json& instance, const std::string& region, int port,
                 TargetGroup* group) {
  const std::string private_ip = Text(instance, "privateIpAddress");
  if (private_ip.empty()) return;
  MetaLabels labels("__meta_lightsail_");
  labels.Address(JoinHostPort(private_ip, port))
      .Add("private_ip", private_ip)
      .Add("region", region)
      .Add("availability_zone",
           Text(Child(instance, "location"), "availabilityZone"))
      .Add("blueprint_id", Text(instance, "blueprintId"))
      .Add("bundle_id", Text(instance, "bundleId"))
      .Add("instance_name", Text(instance, "name"))
      .Add("instance_state", Text(Child(instance, "state"), "name"))
      .Add("instance_support_code", Text(instance, "supportCode"))
      .Add("public_ip", Text(instance, "publicIpAddress"));
  const std::vector<std::string> ipv6 = Texts(instance, "ipv6Addresses");
  if (!ipv6.empty()) labels.Add("ipv6_addresses", SurroundedList(ipv6, ","));
  for (const Json& tag : Child(instance, "tags")) {
    labels.AddKey("tag_", Text(tag, "key"), Text(tag, "value"));
  }
  group->targets.push_back(labels.Build());
}

absl::StatusOr<std::vector<TargetGroup>> Refresh(AwsApi& api, int port,
                                                 Fetcher& fetcher) {
  NARTHEX_ASSIGN_OR_RETURN(const std::string region, api.Region(fetcher));
  TargetGroup group;
  group.source = region;
  std::string page;
  do {
    std::vector<Json::Member> request;
    if (!page.empty()) request.push_back({"pageToken", page});
    const auto answer = api.Call(fetcher, "Lightsail_20161128.GetInstances",
                                 Json::Map(std::move(request)));
    if (!answer.ok()) {
      return base::Annotate(answer.status(), "could not get instances");
    }
    for (const Json& instance : Child(*answer, "instances")) {
      AddInstance(instance, region, port, &group);
    }
    page = Text(*answer, "nextPageToken");
  } while (!page.empty());
  return std::vector<TargetGroup>{std::move(group)};
}

}  // namespace

absl::Status Decode(const yaml::Node& node, LightsailConfig* config) {
  yaml::Decoder d(node);
  DecodeAwsApi(d, config);
  return d.Done();
}

void Emit(const LightsailConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  EmitAwsApi(config, out);
  http::EmitClientConfig(config.client, out);
  out->EndMap();
}

std::unique_ptr<Provider> MakeProvider(const LightsailConfig& config,
                                       const ProviderContext& context) {
  auto api =
      std::make_shared<AwsApi>(config, AwsApi::Options{.service = "lightsail"});
  return PollApi("lightsail", config, context,
                 [api, port = config.port](Fetcher& fetcher) {
                   return Refresh(*api, port, fetcher);
                 });
}

}  // namespace narthex::discovery
