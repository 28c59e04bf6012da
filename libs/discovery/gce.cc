#include "libs/discovery/gce.h"

#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/base/url_query.h"
#include "libs/discovery/cached_token.h"
#include "libs/discovery/json.h"
#include "libs/discovery/meta_labels.h"
#include "libs/discovery/refresh_provider.h"
#include "libs/yaml/optional_fields.h"

namespace narthex::discovery {
namespace {

constexpr char kEndpoint[] = "https://compute.googleapis.com";
constexpr char kScope[] = "https://www.googleapis.com/auth/compute.readonly";
constexpr char kTokenUrl[] = "https://oauth2.googleapis.com/token";
constexpr char kMetadataHost[] = "169.254.169.254";

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// Asks the metadata service for a token of the instance's account.
http::FetchRequest InstanceTokenRequest() {
  std::string host = Environment("GCE_METADATA_HOST");
  if (host.empty()) host = kMetadataHost;
  http::FetchRequest request;
  request.url = absl::StrCat("http://", host,
                             "/computeMetadata/v1/instance/service-accounts/"
                             "default/token?scopes=",
                             base::EscapeUrlQuery(kScope));
  request.headers.Set("Metadata-Flavor", "Google");
  return request;
}

/// Asks for a token with what a credentials file holds.
absl::StatusOr<http::FetchRequest> FileTokenRequest(const std::string& path,
                                                    std::int64_t now_seconds) {
  NARTHEX_ASSIGN_OR_RETURN(const std::string content, base::ReadFile(path));
  const auto json = ParseJson(content);
  if (!json.ok()) return base::Annotate(json.status(), path);
  const std::string type = Text(*json, "type");
  http::OAuth2 oauth2;
  oauth2.token_url = Text(*json, "token_uri");
  if (oauth2.token_url.empty()) oauth2.token_url = kTokenUrl;
  if (type == "service_account") {
    oauth2.client_id = Text(*json, "client_email");
    oauth2.grant_type = http::kJwtBearerGrant;
    oauth2.client_certificate_key_id = Text(*json, "private_key_id");
    oauth2.scopes = {kScope};
    return http::TokenRequest(oauth2, Text(*json, "private_key"),
                              http::ClientAuthStyle::kParams, now_seconds);
  }
  if (type == "authorized_user") {
    oauth2.client_id = Text(*json, "client_id");
    oauth2.endpoint_params = {{"grant_type", "refresh_token"},
                              {"refresh_token", Text(*json, "refresh_token")}};
    return http::TokenRequest(oauth2, Text(*json, "client_secret"),
                              http::ClientAuthStyle::kParams, now_seconds);
  }
  return absl::InvalidArgumentError(absl::StrCat(
      path, ": credentials of type ", base::Quote(type),
      " are not supported: use a service account or an authorized user"));
}

absl::StatusOr<http::FetchRequest> TokenRequestNow(std::int64_t now_seconds) {
  std::string path = Environment("GOOGLE_APPLICATION_CREDENTIALS");
  if (!path.empty()) return FileTokenRequest(path, now_seconds);
  path = Environment("HOME") +
         "/.config/gcloud/application_default_credentials.json";
  if (base::Exists(path)) return FileTokenRequest(path, now_seconds);
  return InstanceTokenRequest();
}

class Gce {
 public:
  Gce(const GceConfig& config, const std::string& endpoint)
      : config_(config), endpoint_(endpoint) {}

  absl::StatusOr<std::vector<TargetGroup>> Refresh(Fetcher& fetcher) {
    TargetGroup group;
    group.source = absl::StrCat("GCE_", config_.project, "_", config_.zone);
    std::string page;
    do {
      auto list = GetPage(fetcher, page);
      if (!list.ok()) {
        return base::Annotate(list.status(),
                              "error retrieving refresh targets from gce");
      }
      for (const Json& instance : Child(*list, "items")) {
        AddInstance(instance, &group);
      }
      page = Text(*list, "nextPageToken");
    } while (!page.empty());
    return std::vector<TargetGroup>{std::move(group)};
  }

 private:
  absl::StatusOr<Json> GetPage(Fetcher& fetcher, const std::string& page) {
    const std::int64_t now = base::Clock::System().NowMs() / 1000;
    NARTHEX_ASSIGN_OR_RETURN(
        const std::string authorization,
        token_.Get(fetcher, now, [now] { return TokenRequestNow(now); }));
    std::string url =
        absl::StrCat(endpoint_, "/compute/v1/projects/", config_.project,
                     "/zones/", config_.zone, "/instances?alt=json");
    if (!config_.filter.empty()) {
      absl::StrAppend(&url, "&filter=", base::EscapeUrlQuery(config_.filter));
    }
    if (!page.empty()) {
      absl::StrAppend(&url, "&pageToken=", base::EscapeUrlQuery(page));
    }
    http::Headers headers;
    headers.Set("Authorization", authorization);
    auto body = fetcher.Get(url, headers);
    if (!body.ok()) {
      token_.Forget();
      return body.status();
    }
    return ParseJson(*body);
  }

  void AddInstance(const Json& instance, TargetGroup* group) const {
    const Json& interfaces = Child(instance, "networkInterfaces");
    if (interfaces.items().empty()) return;
    const Json& primary = interfaces.items()[0];
    const std::string ip = Text(primary, "networkIP");
    MetaLabels labels("__meta_gce_");
    labels.Address(absl::StrCat(ip, ":", config_.port))
        .Add("project", config_.project)
        .Add("zone", Text(instance, "zone"))
        .Add("instance_id", Text(instance, "id"))
        .Add("instance_name", Text(instance, "name"))
        .Add("instance_status", Text(instance, "status"))
        .Add("machine_type", Text(instance, "machineType"))
        .Add("network", Text(primary, "network"))
        .Add("subnetwork", Text(primary, "subnetwork"))
        .Add("private_ip", ip);
    for (const Json& interface : interfaces) {
      labels.AddKey("interface_ipv4_", Text(interface, "name"),
                    Text(interface, "networkIP"));
    }
    const auto tags = Texts(Child(instance, "tags"), "items");
    if (!tags.empty()) {
      labels.Add("tags", SurroundedList(tags, config_.tag_separator));
    }
    for (const Json& item : Child(Child(instance, "metadata"), "items")) {
      labels.AddKey("metadata_", Text(item, "key"), Text(item, "value"));
    }
    ForEachText(Child(instance, "labels"),
                [&](const std::string& key, const std::string& value) {
                  labels.AddKey("label_", key, value);
                });
    const Json& access = Child(primary, "accessConfigs");
    if (!access.items().empty() &&
        Text(access.items()[0], "type") == "ONE_TO_ONE_NAT") {
      labels.Add("public_ip", Text(access.items()[0], "natIP"));
    }
    group->targets.push_back(labels.Build());
  }

  const GceConfig config_;
  const std::string endpoint_;
  CachedToken token_;
};

}  // namespace

absl::Status Decode(const yaml::Node& node, GceConfig* config) {
  yaml::Decoder d(node);
  d.Field("project", &config->project);
  d.Field("zone", &config->zone);
  d.Field("filter", &config->filter);
  d.Duration("refresh_interval", &config->refresh_interval_ms);
  d.Field("port", &config->port);
  d.Field("tag_separator", &config->tag_separator);
  if (config->project.empty()) {
    d.Fail("GCE SD configuration requires a project");
  }
  if (config->zone.empty()) d.Fail("GCE SD configuration requires a zone");
  return d.Done();
}

void Emit(const GceConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  out->Field("project", config.project);
  out->Field("zone", config.zone);
  yaml::EmitText("filter", config.filter, out);
  yaml::EmitDuration("refresh_interval", config.refresh_interval_ms, out);
  out->Field("port", std::int64_t{config.port});
  yaml::EmitText("tag_separator", config.tag_separator, out);
  out->EndMap();
}

void SetDirectory(const std::string&, GceConfig*) {}

std::unique_ptr<Provider> MakeProvider(const GceConfig& config,
                                       const ProviderContext& context) {
  return MakeGceProvider(config, context, kEndpoint);
}

std::unique_ptr<Provider> MakeGceProvider(const GceConfig& config,
                                          const ProviderContext& context,
                                          const std::string& endpoint) {
  auto gce = std::make_shared<Gce>(config, endpoint);
  return std::make_unique<RefreshProvider>(
      RefreshProvider::Options{.mechanism = "gce",
                               .interval_ms = config.refresh_interval_ms},
      context, [gce](Fetcher& fetcher) { return gce->Refresh(fetcher); });
}

}  // namespace narthex::discovery
