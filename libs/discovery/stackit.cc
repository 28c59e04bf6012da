#include "libs/discovery/stackit.h"

#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/discovery/cached_token.h"
#include "libs/discovery/json.h"
#include "libs/discovery/meta_labels.h"
#include "libs/yaml/optional_fields.h"

namespace narthex::discovery {
namespace {

constexpr char kTokenUrl[] = "https://service-account.api.stackit.cloud/token";

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// What STACKIT's tools keep in a file; empty when there is none.
Json ReadCredentials(const StackitConfig& config) {
  std::string path = config.credentials_file_path;
  if (path.empty()) path = Environment("STACKIT_CREDENTIALS_PATH");
  if (path.empty()) path = Environment("HOME") + "/.stackit/credentials.json";
  const auto content = base::ReadFile(path);
  if (!content.ok()) return Json();
  auto json = ParseJson(*content);
  return json.ok() ? *std::move(json) : Json();
}

/// A key of the configuration or of its file, else of the environment, else
/// of the credentials; empty when there is none.
absl::StatusOr<std::string> FindKey(const StackitConfig& config,
                                    std::string key, std::string path,
                                    const std::string& variable) {
  if (!key.empty()) return key;
  const std::string path_variable = variable + "_PATH";
  if (path.empty()) path = Environment(path_variable.c_str());
  if (path.empty()) key = Environment(variable.c_str());
  if (path.empty() && key.empty()) {
    const Json credentials = ReadCredentials(config);
    path = Text(credentials, path_variable);
    key = Text(credentials, variable);
  }
  if (path.empty()) return key;
  auto content = base::ReadFile(path);
  if (!content.ok()) {
    return base::Annotate(content.status(), "reading key from file path");
  }
  return content;
}

/// Asks for a token with a statement that the account's key has signed.
absl::StatusOr<http::FetchRequest> AccountTokenRequest(
    const StackitConfig& config, std::int64_t now_seconds) {
  NARTHEX_ASSIGN_OR_RETURN(
      const std::string account,
      FindKey(config, config.service_account_key,
              config.service_account_key_path, "STACKIT_SERVICE_ACCOUNT_KEY"));
  const auto json = ParseJson(account);
  if (!json.ok()) {
    return base::Annotate(json.status(), "reading service account key");
  }
  const Json& credentials = Child(*json, "credentials");
  NARTHEX_ASSIGN_OR_RETURN(
      std::string private_key,
      FindKey(config, config.private_key, config.private_key_path,
              "STACKIT_PRIVATE_KEY"));
  if (private_key.empty()) private_key = Text(credentials, "privateKey");
  http::OAuth2 oauth2;
  oauth2.grant_type = http::kJwtBearerGrant;
  oauth2.signature_algorithm = "RS512";
  oauth2.client_id = Text(credentials, "sub");
  oauth2.iss = Text(credentials, "iss");
  oauth2.audience = Text(credentials, "aud");
  oauth2.client_certificate_key_id = Text(credentials, "kid");
  oauth2.token_url = Environment("STACKIT_TOKEN_BASEURL");
  if (oauth2.token_url.empty()) {
    oauth2.token_url = Text(credentials, "tokenEndpoint");
  }
  if (oauth2.token_url.empty()) oauth2.token_url = kTokenUrl;
  return http::TokenRequest(oauth2, private_key, http::ClientAuthStyle::kParams,
                            now_seconds);
}

class Stackit {
 public:
  explicit Stackit(const StackitConfig& config) : config_(config) {}

  absl::StatusOr<std::vector<TargetGroup>> Refresh(Fetcher& fetcher) {
    http::FetchRequest request;
    request.url = absl::StrCat(BaseUrl(), "/v1/projects/", config_.project,
                               "/servers?details=true");
    request.timeout_ms = config_.refresh_interval_ms;
    request.headers.Set("Accept", "application/json");
    if (!config_.service_account_key.empty() ||
        !config_.service_account_key_path.empty()) {
      const std::int64_t now = base::Clock::System().NowMs() / 1000;
      const auto token = token_.Get(
          fetcher, now, [&] { return AccountTokenRequest(config_, now); });
      if (!token.ok()) {
        return base::Annotate(token.status(), "setting up authentication");
      }
      request.headers.Set("Authorization", *token);
    }
    NARTHEX_ASSIGN_OR_RETURN(const Fetcher::Answer answer,
                             fetcher.Fetch(std::move(request)));
    if (answer.code != 200) {
      token_.Forget();
      return absl::UnavailableError(
          absl::StrCat("unexpected status code ", answer.code, ": ",
                       absl::string_view(answer.body).substr(0, 200)));
    }
    NARTHEX_ASSIGN_OR_RETURN(const Json servers, ParseJson(answer.body));
    TargetGroup group;
    group.source = "stackit";
    for (const Json& server : Child(servers, "items")) {
      AddServer(server, &group);
    }
    return std::vector<TargetGroup>{std::move(group)};
  }

 private:
  std::string BaseUrl() const {
    if (!config_.endpoint.empty()) {
      return std::string(absl::StripSuffix(config_.endpoint, "/"));
    }
    return absl::StrCat("https://iaas.api.", config_.region, ".stackit.cloud");
  }

  void AddServer(const Json& server, TargetGroup* group) const {
    MetaLabels labels("__meta_stackit_");
    std::string private_ip;
    std::string public_ip;
    for (const Json& nic : Child(server, "nics")) {
      if (public_ip.empty()) public_ip = Text(nic, "publicIp");
      const std::string ip = Text(nic, "ipv4");
      if (private_ip.empty()) private_ip = ip;
      labels.AddKey("private_ipv4_", Text(nic, "networkName"), ip);
    }
    const std::string& ip = public_ip.empty() ? private_ip : public_ip;
    if (ip.empty()) return;
    labels.Address(JoinHostPort(ip, config_.port))
        .Add("public_ipv4", public_ip)
        .Add("project", config_.project)
        .Add("id", Text(server, "id"))
        .Add("name", Text(server, "name"))
        .Add("availability_zone", Text(server, "availabilityZone"))
        .Add("status", Text(server, "status"))
        .Add("power_status", Text(server, "powerStatus"))
        .Add("type", Text(server, "machineType"));
    for (const auto& [key, value] : Child(server, "labels").members()) {
      if (!value.is_text()) continue;
      labels.AddKey("labelpresent_", key, "true")
          .AddKey("label_", key, value.text());
    }
    group->targets.push_back(labels.Build());
  }

  const StackitConfig config_;
  CachedToken token_;
};

}  // namespace

absl::Status Decode(const yaml::Node& node, StackitConfig* config) {
  yaml::Decoder d(node);
  DecodePolledApi(d, config);
  d.Field("project", &config->project);
  d.Field("region", &config->region);
  d.Field("endpoint", &config->endpoint);
  d.Field("service_account_key", &config->service_account_key);
  d.Field("private_key", &config->private_key);
  d.Field("service_account_key_path", &config->service_account_key_path);
  d.Field("private_key_path", &config->private_key_path);
  d.Field("credentials_file_path", &config->credentials_file_path);
  if (config->endpoint.empty() && config->region.empty()) {
    d.Fail("stackit_sd: endpoint and region missing");
  }
  return d.Done();
}

void Emit(const StackitConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  EmitPolledApi(config, out);
  out->Field("project", config.project);
  yaml::EmitText("region", config.region, out);
  yaml::EmitText("endpoint", config.endpoint, out);
  yaml::EmitSecret("service_account_key", config.service_account_key, out);
  yaml::EmitSecret("private_key", config.private_key, out);
  yaml::EmitText("service_account_key_path", config.service_account_key_path,
                 out);
  yaml::EmitText("private_key_path", config.private_key_path, out);
  yaml::EmitText("credentials_file_path", config.credentials_file_path, out);
  out->EndMap();
}

std::unique_ptr<Provider> MakeProvider(const StackitConfig& config,
                                       const ProviderContext& context) {
  auto stackit = std::make_shared<Stackit>(config);
  return PollApi("stackit", config, context, [stackit](Fetcher& fetcher) {
    return stackit->Refresh(fetcher);
  });
}

}  // namespace narthex::discovery
