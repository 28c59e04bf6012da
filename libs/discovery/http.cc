#include "libs/discovery/http.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/float_format.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/discovery/json.h"
#include "libs/discovery/refresh_provider.h"
#include "libs/http/url.h"
#include "libs/http/url_check.h"

namespace narthex::discovery {
namespace {

absl::Status ParseLabels(const Json& map, model::LabelsBuilder* labels) {
  if (map.is_null()) return absl::OkStatus();
  if (!map.is_map()) {
    return absl::InvalidArgumentError("labels: expected a map");
  }
  for (const auto& [name, value] : map.members()) {
    if (!value.is_text()) {
      return absl::InvalidArgumentError(
          absl::StrCat("label ", name, ": expected a string"));
    }
    if (!model::IsUtf8Name(name)) {
      return absl::InvalidArgumentError(
          absl::StrCat(base::Quote(name), " is not a valid label name"));
    }
    labels->Set(name, value.text());
  }
  return absl::OkStatus();
}

absl::StatusOr<TargetGroup> ParseGroup(const Json& item) {
  if (item.is_null()) {
    return absl::InvalidArgumentError("nil target group item found");
  }
  if (!item.is_map()) {
    return absl::InvalidArgumentError("target group: expected a map");
  }
  TargetGroup group;
  for (const auto& [name, value] : item.members()) {
    if (name == "labels") {
      model::LabelsBuilder labels;
      NARTHEX_RETURN_IF_ERROR(ParseLabels(value, &labels));
      group.labels = labels.Build();
      continue;
    }
    if (name != "targets") {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown field ", base::Quote(name)));
    }
    if (!value.is_list() && !value.is_null()) {
      return absl::InvalidArgumentError("targets: expected a list");
    }
    for (const Json& address : value) {
      if (!address.is_text()) {
        return absl::InvalidArgumentError("targets: expected strings");
      }
      group.targets.push_back(model::Labels{{kAddressLabel, address.text()}});
    }
  }
  return group;
}

absl::StatusOr<std::vector<TargetGroup>> Refresh(const HttpConfig& config,
                                                 Fetcher& fetcher) {
  http::FetchRequest request;
  request.url = config.url;
  request.timeout_ms = config.refresh_interval_ms;
  request.headers.Set("Accept", "application/json");
  request.headers.Set(
      "X-Prometheus-Refresh-Interval-Seconds",
      base::FormatFloat(static_cast<double>(config.refresh_interval_ms) /
                        1000));
  NARTHEX_ASSIGN_OR_RETURN(const Fetcher::Answer answer,
                           fetcher.Fetch(std::move(request)));
  if (answer.code != 200) {
    return absl::UnavailableError(
        absl::StrCat("server returned HTTP status ", StatusLine(answer.code)));
  }
  const absl::string_view type = answer.headers.Get("Content-Type");
  if (!IsJsonType(type)) {
    return absl::InvalidArgumentError(
        absl::StrCat("unsupported content type ", base::Quote(type)));
  }
  return ParseTargetGroups(answer.body, config.url);
}

}  // namespace

bool IsJsonType(absl::string_view content_type) {
  const std::string lower =
      absl::AsciiStrToLower(absl::StripAsciiWhitespace(content_type));
  absl::string_view rest = lower;
  if (!absl::ConsumePrefix(&rest, "application/json")) return false;
  if (rest.empty()) return true;
  if (!absl::ConsumePrefix(&rest, ";")) return false;
  rest = absl::StripLeadingAsciiWhitespace(rest);
  return rest == "charset=utf-8" || rest == "charset=\"utf-8\"";
}

absl::Status CheckHttpUrl(const yaml::Node& node, const std::string& url) {
  if (url.empty()) return node.Error("URL is missing");
  if (const absl::Status bad = http::CheckUrl(url); !bad.ok()) {
    return node.Error(bad.message());
  }
  if (!absl::StartsWith(url, "http://") && !absl::StartsWith(url, "https://")) {
    return node.Error("URL scheme must be 'http' or 'https'");
  }
  if (http::UrlHost(url).empty()) return node.Error("host is missing in URL");
  return absl::OkStatus();
}

absl::StatusOr<std::vector<TargetGroup>> ParseTargetGroups(
    const std::string& json, const std::string& url) {
  NARTHEX_ASSIGN_OR_RETURN(const Json list, ParseJson(json));
  if (!list.is_list() && !list.is_null()) {
    return absl::InvalidArgumentError("expected a list of target groups");
  }
  std::vector<TargetGroup> groups;
  for (const Json& item : list) {
    NARTHEX_ASSIGN_OR_RETURN(TargetGroup group, ParseGroup(item));
    model::LabelsBuilder labels(group.labels);
    group.labels = labels.Set("__meta_url", url).Build();
    group.source = absl::StrCat(url, ":", groups.size());
    groups.push_back(std::move(group));
  }
  return groups;
}

absl::Status Decode(const yaml::Node& node, HttpConfig* config) {
  yaml::Decoder d(node);
  http::DecodeClientConfig(d, &config->client);
  d.Duration("refresh_interval", &config->refresh_interval_ms);
  d.Field("url", &config->url);
  NARTHEX_RETURN_IF_ERROR(d.Done());
  return CheckHttpUrl(node, config->url);
}

void Emit(const HttpConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  http::EmitClientConfig(config.client, out);
  out->Key("refresh_interval").Duration(config.refresh_interval_ms);
  out->Field("url", config.url);
  out->EndMap();
}

void SetDirectory(const std::string& directory, HttpConfig* config) {
  http::SetDirectory(directory, &config->client);
}

std::unique_ptr<Provider> MakeProvider(const HttpConfig& config,
                                       const ProviderContext& context) {
  metrics::Counter& failures = context.metrics.registry.NewCounter(
      "prometheus_sd_http_failures_total",
      "Number of HTTP service discovery refresh failures.");
  return std::make_unique<RefreshProvider>(
      RefreshProvider::Options{
          .mechanism = "http",
          .interval_ms = config.refresh_interval_ms,
          .client = std::make_shared<http::ClientConfig>(config.client)},
      context, [config, &failures](Fetcher& fetcher) {
        auto groups = Refresh(config, fetcher);
        if (!groups.ok()) failures.Inc();
        return groups;
      });
}

}  // namespace narthex::discovery
