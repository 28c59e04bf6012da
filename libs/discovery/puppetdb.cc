#include "libs/discovery/puppetdb.h"

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/float_format.h"
#include "libs/base/status.h"
#include "libs/discovery/http.h"
#include "libs/discovery/json.h"
#include "libs/discovery/meta_labels.h"

namespace narthex::discovery {
namespace {

constexpr char kSeparator[] = ",";

/// The value of a parameter that is no list and no map; else empty.
std::string ScalarText(const Json& value) {
  if (value.is_text()) return value.text();
  if (value.is_boolean()) return value.boolean() ? "true" : "false";
  if (value.is_number()) return base::FormatFloatG(value.number());
  return "";
}

/// Maps become labels of their own, their names joined by underscores.
void AddParameters(const Json& parameters, const std::string& prefix,
                   MetaLabels* labels) {
  if (!parameters.is_map()) return;
  for (const auto& [name, value] : parameters.members()) {
    if (value.is_map()) {
      AddParameters(value, absl::StrCat(prefix, SanitizeLabelName(name), "_"),
                    labels);
    } else if (value.is_list()) {
      std::vector<std::string> items;
      for (const Json& item : value) items.push_back(ScalarText(item));
      labels->AddKey(prefix, name, absl::StrJoin(items, kSeparator));
    } else {
      labels->AddKey(prefix, name, ScalarText(value));
    }
  }
}

model::Labels LabelsOf(const Json& resource, const PuppetDbConfig& config) {
  const std::string certname = Text(resource, "certname");
  MetaLabels labels("__meta_puppetdb_");
  labels.Address(JoinHostPort(certname, config.port))
      .Add("query", config.query)
      .Add("certname", certname)
      .Add("resource", Text(resource, "resource"))
      .Add("type", Text(resource, "type"))
      .Add("title", Text(resource, "title"))
      .AddFlag("exported", Flag(resource, "exported"))
      .Add("file", Text(resource, "file"))
      .Add("environment", Text(resource, "environment"));
  const std::vector<std::string> tags = Texts(resource, "tags");
  if (!tags.empty()) labels.Add("tags", SurroundedList(tags, kSeparator));
  if (config.include_parameters) {
    AddParameters(Child(resource, "parameters"), "parameter_", &labels);
  }
  return labels.Build();
}

/// The URL's path, to which that of the API is added.
std::string ApiUrl(std::string url) {
  while (absl::EndsWith(url, "/")) url.pop_back();
  return url + "/pdb/query/v4";
}

absl::StatusOr<std::vector<TargetGroup>> Refresh(const PuppetDbConfig& config,
                                                 Fetcher& fetcher) {
  http::FetchRequest request;
  request.url = ApiUrl(config.url);
  request.method = "POST";
  request.timeout_ms = config.refresh_interval_ms;
  request.headers.Set("Accept", "application/json");
  request.headers.Set("Content-Type", "application/json");
  request.body = Json::Map({{"query", config.query}}).Dump();
  TargetGroup group;
  group.source = absl::StrCat(request.url, "?query=", config.query);
  NARTHEX_ASSIGN_OR_RETURN(const Fetcher::Answer answer,
                           fetcher.Fetch(std::move(request)));
  if (answer.code != 200) {
    return absl::UnavailableError(
        absl::StrCat("server returned HTTP status ", StatusLine(answer.code)));
  }
  const absl::string_view type = answer.headers.Get("Content-Type");
  if (!IsJsonType(type)) {
    return absl::InvalidArgumentError(
        absl::StrCat("unsupported content type ", type));
  }
  NARTHEX_ASSIGN_OR_RETURN(const Json resources, ParseJson(answer.body));
  if (!resources.is_list()) {
    return absl::InvalidArgumentError("expected a list of resources");
  }
  for (const Json& resource : resources) {
    group.targets.push_back(LabelsOf(resource, config));
  }
  return std::vector<TargetGroup>{std::move(group)};
}

}  // namespace

absl::Status Decode(const yaml::Node& node, PuppetDbConfig* config) {
  yaml::Decoder d(node);
  DecodePolledApi(d, config);
  d.Field("url", &config->url);
  d.Field("query", &config->query);
  d.Field("include_parameters", &config->include_parameters);
  NARTHEX_RETURN_IF_ERROR(d.Done());
  NARTHEX_RETURN_IF_ERROR(CheckHttpUrl(node, config->url));
  if (config->query.empty()) return node.Error("query missing");
  return absl::OkStatus();
}

void Emit(const PuppetDbConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  http::EmitClientConfig(config.client, out);
  out->Key("refresh_interval").Duration(config.refresh_interval_ms);
  out->Field("url", config.url);
  out->Field("query", config.query);
  out->Field("include_parameters", config.include_parameters);
  out->Field("port", std::int64_t{config.port});
  out->EndMap();
}

std::unique_ptr<Provider> MakeProvider(const PuppetDbConfig& config,
                                       const ProviderContext& context) {
  return PollApi("puppetdb", config, context, [config](Fetcher& fetcher) {
    return Refresh(config, fetcher);
  });
}

}  // namespace narthex::discovery
