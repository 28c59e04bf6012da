#include "libs/discovery/nomad.h"

#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/status.h"
#include "libs/discovery/json.h"
#include "libs/discovery/meta_labels.h"
#include "libs/discovery/refresh_provider.h"
#include "libs/yaml/optional_fields.h"

namespace narthex::discovery {
namespace {

/// The lists that Nomad's API answers with.
class NomadApi {
 public:
  explicit NomadApi(const NomadConfig& config)
      : base_url_(absl::StripSuffix(config.server, "/")) {
    if (!config.nomad_namespace.empty()) {
      AddParam("namespace", config.nomad_namespace);
    }
    if (!config.region.empty()) AddParam("region", config.region);
    if (config.allow_stale) AddParam("stale", "");
  }

  absl::StatusOr<Json> List(Fetcher& fetcher, const std::string& path) const {
    NARTHEX_ASSIGN_OR_RETURN(
        const std::string body,
        fetcher.Get(absl::StrCat(base_url_, path, query_)));
    NARTHEX_ASSIGN_OR_RETURN(Json list, ParseJson(body));
    if (list.is_null() || list.is_list()) return list;
    return absl::InvalidArgumentError(absl::StrCat(path, ": expected a list"));
  }

 private:
  void AddParam(absl::string_view name, absl::string_view value) {
    absl::StrAppend(&query_, query_.empty() ? "?" : "&", name, "=",
                    http::PercentEncode(value));
  }

  std::string base_url_;
  std::string query_;
};

model::Labels LabelsOf(const Json& instance, const NomadConfig& config) {
  const std::string address = Text(instance, "Address");
  const std::int64_t port = Number(instance, "Port");
  MetaLabels labels("__meta_nomad_");
  labels.Address(JoinHostPort(address, port))
      .Add("address", address)
      .Add("dc", Text(instance, "Datacenter"))
      .Add("node_id", Text(instance, "NodeID"))
      .Add("namespace", Text(instance, "Namespace"))
      .Add("service", Text(instance, "ServiceName"))
      .Add("service_address", address)
      .Add("service_id", Text(instance, "ID"))
      .Add("service_port", port);
  const std::vector<std::string> tags = Texts(instance, "Tags");
  if (!tags.empty()) {
    labels.Add("tags", SurroundedList(tags, config.tag_separator));
  }
  return labels.Build();
}

absl::StatusOr<std::vector<TargetGroup>> Refresh(const NomadConfig& config,
                                                 const NomadApi& api,
                                                 Fetcher& fetcher) {
  NARTHEX_ASSIGN_OR_RETURN(const Json namespaces,
                           api.List(fetcher, "/v1/services"));
  TargetGroup group;
  group.source = "Nomad";
  for (const Json& one : namespaces) {
    const Json& services = Child(one, "Services");
    if (!services.is_list()) continue;
    for (const Json& service : services) {
      auto instances = api.List(
          fetcher, absl::StrCat("/v1/service/", http::PercentEncode(Text(
                                                    service, "ServiceName"))));
      NARTHEX_RETURN_IF_ERROR(
          base::Annotate(instances.status(), "failed to fetch services"));
      for (const Json& instance : *instances) {
        group.targets.push_back(LabelsOf(instance, config));
      }
    }
  }
  return std::vector<TargetGroup>{std::move(group)};
}

}  // namespace

absl::Status Decode(const yaml::Node& node, NomadConfig* config) {
  yaml::Decoder d(node);
  d.Field("allow_stale", &config->allow_stale);
  http::DecodeClientConfig(d, &config->client);
  d.Field("namespace", &config->nomad_namespace);
  d.Duration("refresh_interval", &config->refresh_interval_ms);
  d.Field("region", &config->region);
  d.Field("server", &config->server);
  d.Field("tag_separator", &config->tag_separator);
  if (absl::StripAsciiWhitespace(config->server).empty()) {
    d.Fail("nomad SD configuration requires a server address");
  }
  return d.Done();
}

void Emit(const NomadConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  out->Field("allow_stale", config.allow_stale);
  http::EmitClientConfig(config.client, out);
  out->Field("namespace", config.nomad_namespace);
  out->Key("refresh_interval").Duration(config.refresh_interval_ms);
  out->Field("region", config.region);
  out->Field("server", config.server);
  yaml::EmitText("tag_separator", config.tag_separator, out);
  out->EndMap();
}

void SetDirectory(const std::string& directory, NomadConfig* config) {
  http::SetDirectory(directory, &config->client);
}

std::unique_ptr<Provider> MakeProvider(const NomadConfig& config,
                                       const ProviderContext& context) {
  metrics::Counter& failures = context.metrics.registry.NewCounter(
      "prometheus_sd_nomad_failures_total",
      "Number of nomad service discovery refresh failures.");
  const NomadApi api(config);
  return std::make_unique<RefreshProvider>(
      RefreshProvider::Options{
          .mechanism = "nomad",
          .interval_ms = config.refresh_interval_ms,
          .client = std::make_shared<http::ClientConfig>(config.client)},
      context, [config, api, &failures](Fetcher& fetcher) {
        auto groups = Refresh(config, api, fetcher);
        if (!groups.ok()) failures.Inc();
        return groups;
      });
}

}  // namespace narthex::discovery
