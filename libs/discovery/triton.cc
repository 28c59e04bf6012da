#include "libs/discovery/triton.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/status.h"
#include "libs/discovery/json.h"
#include "libs/discovery/meta_labels.h"
#include "libs/discovery/refresh_provider.h"
#include "libs/yaml/optional_fields.h"

namespace narthex::discovery {
namespace {

std::string UrlOf(const TritonConfig& config) {
  std::string url = absl::StrCat(
      config.scheme, "://", config.endpoint, ":", config.port, "/v",
      config.version, config.role == "cn" ? "/gz/discover" : "/discover");
  if (!config.groups.empty()) {
    absl::StrAppend(&url, "?groups=",
                    http::PercentEncode(absl::StrJoin(config.groups, ",")));
  }
  return url;
}

MetaLabels LabelsAt(const std::string& id, const TritonConfig& config) {
  MetaLabels labels("__meta_triton_");
  labels.Address(absl::StrCat(id, ".", config.dns_suffix, ":", config.port))
      .Add("machine_id", id);
  return labels;
}

model::Labels ContainerLabels(const Json& container,
                              const TritonConfig& config) {
  MetaLabels labels = LabelsAt(Text(container, "vm_uuid"), config);
  labels.Add("machine_alias", Text(container, "vm_alias"))
      .Add("machine_brand", Text(container, "vm_brand"))
      .Add("machine_image", Text(container, "vm_image_uuid"))
      .Add("server_id", Text(container, "server_uuid"));
  const std::vector<std::string> groups = Texts(container, "groups");
  if (!groups.empty()) labels.Add("groups", SurroundedList(groups, ","));
  return labels.Build();
}

model::Labels NodeLabels(const Json& node, const TritonConfig& config) {
  return LabelsAt(Text(node, "server_uuid"), config)
      .Add("machine_alias", Text(node, "server_hostname"))
      .Build();
}

absl::StatusOr<std::vector<TargetGroup>> Refresh(const TritonConfig& config,
                                                 Fetcher& fetcher) {
  const bool nodes = config.role == "cn";
  TargetGroup group;
  group.source = UrlOf(config);
  auto body = fetcher.Get(group.source);
  NARTHEX_RETURN_IF_ERROR(base::Annotate(
      body.status(),
      "an error occurred when requesting targets from the discovery endpoint"));
  NARTHEX_ASSIGN_OR_RETURN(const Json answer, ParseJson(*body));
  const char* name = nodes ? "cns" : "containers";
  const Json& items = Child(answer, name);
  if (!items.is_list() && !items.is_null()) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": expected a list"));
  }
  for (const Json& item : items) {
    group.targets.push_back(
        (nodes ? NodeLabels : ContainerLabels)(item, config));
  }
  return std::vector<TargetGroup>{std::move(group)};
}

}  // namespace

absl::Status Decode(const yaml::Node& node, TritonConfig* config) {
  yaml::Decoder d(node);
  d.Field("account", &config->account);
  d.Field("role", &config->role);
  d.Field("dns_suffix", &config->dns_suffix);
  d.Field("endpoint", &config->endpoint);
  d.Field("groups", &config->groups);
  d.Field("port", &config->port);
  d.Duration("refresh_interval", &config->refresh_interval_ms);
  d.Field("tls_config", &config->tls);
  d.Field("version", &config->version);
  const char* what = "triton SD configuration requires ";
  if (config->role != "container" && config->role != "cn") {
    d.Fail(absl::StrCat(what, "role to be 'container' or 'cn'"));
  } else if (config->account.empty()) {
    d.Fail(absl::StrCat(what, "an account"));
  } else if (config->dns_suffix.empty()) {
    d.Fail(absl::StrCat(what, "a dns_suffix"));
  } else if (config->endpoint.empty()) {
    d.Fail(absl::StrCat(what, "an endpoint"));
  } else if (config->refresh_interval_ms <= 0) {
    d.Fail(absl::StrCat(what, "RefreshInterval to be a positive integer"));
  }
  return d.Done();
}

void Emit(const TritonConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  out->Field("account", config.account);
  out->Field("role", config.role);
  out->Field("dns_suffix", config.dns_suffix);
  out->Field("endpoint", config.endpoint);
  yaml::EmitList("groups", config.groups, out);
  out->Field("port", std::int64_t{config.port});
  out->Key("refresh_interval").Duration(config.refresh_interval_ms);
  http::EmitTls(config.tls, out);
  out->Field("version", std::int64_t{config.version});
  out->EndMap();
}

void SetDirectory(const std::string& directory, TritonConfig* config) {
  http::SetDirectory(directory, &config->tls);
}

std::unique_ptr<Provider> MakeProvider(const TritonConfig& config,
                                       const ProviderContext& context) {
  auto client = std::make_shared<http::ClientConfig>();
  client->tls = config.tls;
  return std::make_unique<RefreshProvider>(
      RefreshProvider::Options{.mechanism = "triton",
                               .interval_ms = config.refresh_interval_ms,
                               .client = std::move(client)},
      context, [config](Fetcher& fetcher) { return Refresh(config, fetcher); });
}

}  // namespace narthex::discovery
