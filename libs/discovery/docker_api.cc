#include "libs/discovery/docker_api.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/status.h"
#include "libs/discovery/meta_labels.h"

namespace narthex::discovery {
namespace {

/// {"name": {"value": true}}, the form of the daemon's API.
std::string FilterQuery(const std::vector<DockerFilter>& filters) {
  std::map<std::string, std::vector<Json::Member>> values;
  for (const DockerFilter& filter : filters) {
    for (const std::string& value : filter.values) {
      values[filter.name].push_back({value, true});
    }
  }
  if (values.empty()) return "";
  std::vector<Json::Member> map;
  for (const auto& [name, members] : values) {
    map.push_back({name, Json::Map(members)});
  }
  return absl::StrCat("?filters=",
                      http::PercentEncode(Json::Map(std::move(map)).Dump()));
}

}  // namespace

DockerApi::DockerApi(const std::string& host,
                     const std::vector<DockerFilter>& filters,
                     std::int64_t timeout_ms)
    : filters_(FilterQuery(filters)), timeout_ms_(timeout_ms) {
  absl::string_view rest = host;
  if (absl::ConsumePrefix(&rest, "unix://")) {
    unix_socket_ = std::string(rest);
    base_url_ = "http://localhost";
    return;
  }
  base_url_ = absl::ConsumePrefix(&rest, "tcp://")
                  ? absl::StrCat("http://", rest)
                  : host;
  while (absl::EndsWith(base_url_, "/")) base_url_.pop_back();
}

absl::StatusOr<std::vector<Json>> DockerApi::List(
    Fetcher& fetcher, const std::string& path) const {
  http::FetchRequest request;
  request.url = base_url_ + path;
  request.unix_socket = unix_socket_;
  request.timeout_ms = timeout_ms_;
  NARTHEX_ASSIGN_OR_RETURN(const Fetcher::Answer answer,
                           fetcher.Fetch(std::move(request)));
  auto parsed = ParseJson(answer.body);
  if (answer.code < 200 || answer.code >= 400) {
    const std::string message =
        parsed.ok() ? Text(*parsed, "message") : std::string();
    return absl::UnavailableError(
        absl::StrCat("error response from daemon: ",
                     message.empty() ? StatusLine(answer.code) : message));
  }
  NARTHEX_RETURN_IF_ERROR(parsed);
  if (!parsed->is_list() && !parsed->is_null()) {
    return absl::InvalidArgumentError("expected a list");
  }
  for (const Json& item : *parsed) {
    if (!item.is_map()) {
      return absl::InvalidArgumentError("expected a list of maps");
    }
  }
  return parsed->items();
}

absl::StatusOr<std::vector<Json>> DockerApi::ListFiltered(
    Fetcher& fetcher, const std::string& path) const {
  return List(fetcher, path + filters_);
}

absl::StatusOr<std::map<std::string, model::Labels>> DockerApi::NetworkLabels(
    Fetcher& fetcher, const std::string& prefix) const {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<Json> networks,
                           List(fetcher, "/networks"));
  std::map<std::string, model::Labels> out;
  for (const Json& network : networks) {
    MetaLabels labels(prefix + "network_");
    labels.Add("id", Text(network, "Id"))
        .Add("name", Text(network, "Name"))
        .Add("scope", Text(network, "Scope"))
        .AddFlag("internal", Flag(network, "Internal"))
        .AddFlag("ingress", Flag(network, "Ingress"));
    ForEachText(Child(network, "Labels"),
                [&](const std::string& key, const std::string& value) {
                  labels.AddKey("label_", key, value);
                });
    out[Text(network, "Id")] = labels.Build();
  }
  return out;
}

std::shared_ptr<const http::ClientConfig> DockerClient(
    const std::string& host, const http::ClientConfig& config) {
  if (!absl::StartsWith(host, "http://") &&
      !absl::StartsWith(host, "https://")) {
    return nullptr;
  }
  return std::make_shared<http::ClientConfig>(config);
}

}  // namespace narthex::discovery
