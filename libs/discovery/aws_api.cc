#include "libs/discovery/aws_api.h"

#include <pugixml.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/clock.h"
#include "libs/base/status.h"
#include "libs/base/url_query.h"
#include "libs/yaml/optional_fields.h"

namespace narthex::discovery {
namespace {

/// Why a request was refused.
struct Reason {
  std::string code;
  std::string message;
};

/// EC2 has a form of its own; the other services that answer in XML share one.
Reason XmlReason(const std::string& body) {
  pugi::xml_document xml;
  if (!xml.load_buffer(body.data(), body.size())) return {};
  auto error = xml.child("Response").child("Errors").child("Error");
  if (!error) error = xml.child("ErrorResponse").child("Error");
  return {error.child("Code").text().get(),
          error.child("Message").text().get()};
}

Reason JsonReason(const std::string& body) {
  const auto json = ParseJson(body);
  if (!json.ok()) return {};
  // "com.amazon.coral.service#AccessDeniedException" or the name alone.
  const std::string type = Text(*json, "__type");
  std::string message = Text(*json, "message");
  if (message.empty()) message = Text(*json, "Message");
  return {type.substr(type.find('#') + 1), message};
}

/// Whether other credentials might do.
bool IsAboutCredentials(const Reason& reason, int code) {
  return code == 401 || reason.code == "AuthFailure" ||
         reason.code == "UnauthorizedOperation" ||
         reason.code == "RequestExpired" ||
         absl::StrContains(reason.code, "ExpiredToken") ||
         absl::StrContains(reason.code, "UnrecognizedClient");
}

absl::StatusOr<std::vector<Json>> ParseAll(
    const std::vector<std::string>& bodies) {
  std::vector<Json> out;
  for (const std::string& body : bodies) {
    NARTHEX_ASSIGN_OR_RETURN(Json json, ParseJson(body));
    out.push_back(std::move(json));
  }
  return out;
}

}  // namespace

void DecodeAwsApi(yaml::Decoder& d, AwsApiConfig* config) {
  d.Field("endpoint", &config->endpoint);
  d.Field("region", &config->region);
  d.Field("access_key", &config->access_key);
  d.Field("secret_key", &config->secret_key);
  d.Field("profile", &config->profile);
  d.Field("role_arn", &config->role_arn);
  d.Field("external_id", &config->external_id);
  DecodePolledApi(d, config);
}

void EmitAwsCredentials(const AwsApiConfig& config, yaml::Emitter* out) {
  yaml::EmitText("access_key", config.access_key, out);
  yaml::EmitSecret("secret_key", config.secret_key, out);
  yaml::EmitText("profile", config.profile, out);
  yaml::EmitText("role_arn", config.role_arn, out);
  yaml::EmitText("external_id", config.external_id, out);
}

void EmitAwsApi(const AwsApiConfig& config, yaml::Emitter* out) {
  out->Field("endpoint", config.endpoint);
  out->Field("region", config.region);
  EmitAwsCredentials(config, out);
  yaml::EmitDuration("refresh_interval", config.refresh_interval_ms, out);
  out->Field("port", std::int64_t{config.port});
}

absl::Status Decode(const yaml::Node& node, AwsFilter* filter) {
  yaml::Decoder d(node);
  d.Field("name", &filter->name);
  d.Field("values", &filter->values);
  return d.Done();
}

void EmitAwsFilters(const std::vector<AwsFilter>& filters, yaml::Emitter* out) {
  out->Key("filters").BeginSequence();
  for (const AwsFilter& filter : filters) {
    out->BeginMap();
    out->Field("name", filter.name);
    out->Field("values", filter.values);
    out->EndMap();
  }
  out->EndSequence();
}

void DecodeAwsClusters(yaml::Decoder& d, AwsClustersConfig* config) {
  DecodeAwsApi(d, config);
  d.Field("clusters", &config->clusters);
  d.Field("request_concurrency", &config->request_concurrency);
}

void EmitAwsClusters(const AwsClustersConfig& config,
                     const std::vector<AwsFilter>* filters,
                     yaml::Emitter* out) {
  out->Field("region", config.region);
  out->Field("endpoint", config.endpoint);
  EmitAwsCredentials(config, out);
  yaml::EmitList("clusters", config.clusters, out);
  out->Field("port", std::int64_t{config.port});
  yaml::EmitDuration("refresh_interval", config.refresh_interval_ms, out);
  if (filters != nullptr) EmitAwsFilters(*filters, out);
  if (config.request_concurrency != 0) {
    out->Field("request_concurrency", std::int64_t{config.request_concurrency});
  }
}

AwsApi::AwsApi(const AwsApiConfig& config, Options options)
    : endpoint_(config.endpoint),
      options_(std::move(options)),
      account_({config.region, config.access_key, config.secret_key,
                config.profile, config.role_arn, config.external_id,
                options_.sts_endpoint, options_.metadata_endpoint}) {}

std::string AwsApi::Url(const std::string& region) const {
  if (!endpoint_.empty()) {
    const absl::string_view url = absl::StripSuffix(endpoint_, "/");
    return absl::StrCat(absl::StrContains(url, "://") ? "" : "https://", url);
  }
  return absl::StrCat("https://", options_.service, ".", region,
                      ".amazonaws.com",
                      absl::StartsWith(region, "cn-") ? ".cn" : "");
}

absl::Status AwsApi::Refusal(const std::string& what,
                             const Fetcher::Answer& answer) {
  Reason reason = XmlReason(answer.body);
  if (reason.code.empty()) reason = JsonReason(answer.body);
  // New credentials may be at hand by now.
  if (IsAboutCredentials(reason, answer.code)) account_.Forget();
  return absl::UnavailableError(absl::StrCat(
      what, ": ", StatusLine(answer.code), reason.code.empty() ? "" : ": ",
      reason.code, reason.message.empty() ? "" : ": ", reason.message));
}

absl::StatusOr<std::vector<std::string>> AwsApi::Send(
    Fetcher& fetcher, std::vector<http::FetchRequest> requests, int at_once) {
  NARTHEX_ASSIGN_OR_RETURN(const std::string region, Region(fetcher));
  const std::int64_t now = base::Clock::System().NowMs() / 1000;
  NARTHEX_ASSIGN_OR_RETURN(const AwsCredentials credentials,
                           account_.Credentials(fetcher, now));
  std::vector<std::string> whats;
  for (http::FetchRequest& request : requests) {
    whats.push_back(request.headers.Has("X-Amz-Target")
                        ? std::string(request.headers.Get("X-Amz-Target"))
                        : absl::StrCat(request.method, " ", request.url));
    request.url = Url(region) + request.url;
    SignForAws(credentials, region, options_.service, now, &request);
  }
  NARTHEX_ASSIGN_OR_RETURN(std::vector<Fetcher::Answer> answers,
                           fetcher.FetchAll(std::move(requests), at_once));
  std::vector<std::string> bodies;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (answers[i].code != 200) return Refusal(whats[i], answers[i]);
    bodies.push_back(std::move(answers[i].body));
  }
  return bodies;
}

absl::StatusOr<std::string> AwsApi::Query(Fetcher& fetcher,
                                          const std::string& action,
                                          const std::string& params) {
  http::FetchRequest request;
  request.url = "/";
  request.method = "POST";
  request.headers.Set("Content-Type",
                      "application/x-www-form-urlencoded; charset=utf-8");
  request.body =
      absl::StrCat("Action=", action, "&Version=", options_.version, params);
  auto bodies = Send(fetcher, {std::move(request)}, 1);
  if (!bodies.ok()) return base::Annotate(bodies.status(), action);
  return std::move(bodies->front());
}

absl::StatusOr<std::vector<Json>> AwsApi::CallAll(
    Fetcher& fetcher, const std::string& target,
    const std::vector<Json>& bodies, int at_once) {
  std::vector<http::FetchRequest> requests;
  for (const Json& body : bodies) {
    http::FetchRequest request;
    request.url = "/";
    request.method = "POST";
    request.headers.Set("Content-Type", "application/x-amz-json-1.1");
    request.headers.Set("X-Amz-Target", target);
    request.body = body.Dump();
    requests.push_back(std::move(request));
  }
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> answers,
                           Send(fetcher, std::move(requests), at_once));
  return ParseAll(answers);
}

absl::StatusOr<Json> AwsApi::Call(Fetcher& fetcher, const std::string& target,
                                  const Json& body) {
  NARTHEX_ASSIGN_OR_RETURN(std::vector<Json> answers,
                           CallAll(fetcher, target, {body}, 1));
  return std::move(answers.front());
}

absl::StatusOr<std::vector<Json>> AwsApi::GetAll(
    Fetcher& fetcher, const std::vector<std::string>& paths, int at_once) {
  std::vector<http::FetchRequest> requests;
  for (const std::string& path : paths) {
    http::FetchRequest request;
    request.url = path;
    requests.push_back(std::move(request));
  }
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> answers,
                           Send(fetcher, std::move(requests), at_once));
  return ParseAll(answers);
}

absl::StatusOr<Json> AwsApi::Get(Fetcher& fetcher, const std::string& path) {
  NARTHEX_ASSIGN_OR_RETURN(std::vector<Json> answers,
                           GetAll(fetcher, {path}, 1));
  return std::move(answers.front());
}

void AddAwsParam(absl::string_view name, absl::string_view value,
                 std::string* form) {
  absl::StrAppend(form, "&", name, "=", base::EscapeUrlQuery(value));
}

void AddAwsFilters(const std::vector<AwsFilter>& filters,
                   absl::string_view list_name, absl::string_view value_name,
                   std::string* form) {
  for (std::size_t i = 0; i < filters.size(); ++i) {
    const std::string prefix = absl::StrCat(list_name, ".", i + 1, ".");
    AddAwsParam(prefix + "Name", filters[i].name, form);
    for (std::size_t j = 0; j < filters[i].values.size(); ++j) {
      AddAwsParam(absl::StrCat(prefix, value_name, ".", j + 1),
                  filters[i].values[j], form);
    }
  }
}

}  // namespace narthex::discovery
