#include "libs/discovery/azure_api.h"

#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/base/url_query.h"
#include "libs/http/url.h"

namespace narthex::discovery {
namespace {

/// Requests under way together.
constexpr int kAtOnce = 10;

constexpr char kAssertionType[] =
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

http::OAuth2 TenantConfig(const std::string& login, const std::string& tenant,
                          const std::string& client,
                          const std::string& management) {
  absl::string_view host = login;
  absl::ConsumeSuffix(&host, "/");
  http::OAuth2 config;
  config.client_id = client;
  config.token_url = absl::StrCat(host, "/", tenant, "/oauth2/v2.0/token");
  config.scopes = {management + "/.default"};
  return config;
}

}  // namespace

absl::StatusOr<http::FetchRequest> AzureApi::SecretRequest(
    const std::string& tenant, const std::string& client,
    const std::string& secret, std::int64_t now_seconds) const {
  return http::TokenRequest(
      TenantConfig(cloud_.login, tenant, client, cloud_.management), secret,
      http::ClientAuthStyle::kParams, now_seconds);
}

absl::StatusOr<http::FetchRequest> AzureApi::WorkloadRequest(
    std::int64_t now_seconds) const {
  const std::string file = Environment("AZURE_FEDERATED_TOKEN_FILE");
  const std::string tenant = Environment("AZURE_TENANT_ID");
  const std::string client = Environment("AZURE_CLIENT_ID");
  if (file.empty() || tenant.empty() || client.empty()) {
    return absl::FailedPreconditionError(
        "no workload identity: AZURE_FEDERATED_TOKEN_FILE, AZURE_TENANT_ID "
        "and AZURE_CLIENT_ID must be set");
  }
  NARTHEX_ASSIGN_OR_RETURN(const std::string token, base::ReadFile(file));
  const std::string authority = Environment("AZURE_AUTHORITY_HOST");
  http::OAuth2 config =
      TenantConfig(authority.empty() ? cloud_.login : authority, tenant, client,
                   cloud_.management);
  config.endpoint_params = {
      {"client_assertion_type", kAssertionType},
      {"client_assertion", std::string(absl::StripAsciiWhitespace(token))}};
  return http::TokenRequest(config, "", http::ClientAuthStyle::kParams,
                            now_seconds);
}

http::FetchRequest AzureApi::ManagedRequest() const {
  http::FetchRequest request;
  const std::string endpoint = Environment("IDENTITY_ENDPOINT");
  if (!endpoint.empty()) {
    request.url = endpoint + "?api-version=2019-08-01";
    request.headers.Set("X-IDENTITY-HEADER", Environment("IDENTITY_HEADER"));
  } else {
    request.url = cloud_.identity +
                  "/metadata/identity/oauth2/token?api-version=2018-02-01";
    request.headers.Set("Metadata", "true");
  }
  absl::StrAppend(&request.url,
                  "&resource=", base::EscapeUrlQuery(cloud_.management));
  if (!config_.client_id.empty()) {
    absl::StrAppend(&request.url,
                    "&client_id=", base::EscapeUrlQuery(config_.client_id));
  }
  return request;
}

absl::StatusOr<http::FetchRequest> AzureApi::TokenRequest(
    std::int64_t now_seconds) const {
  const std::string& method = config_.authentication_method;
  if (method == "OAuth") {
    return SecretRequest(config_.tenant_id, config_.client_id,
                         config_.client_secret, now_seconds);
  }
  if (method == "WorkloadIdentity") return WorkloadRequest(now_seconds);
  if (method == "ManagedIdentity") return ManagedRequest();
  // "SDK": whatever the environment offers, in the order of Azure's SDK.
  const std::string secret = Environment("AZURE_CLIENT_SECRET");
  if (!secret.empty()) {
    const std::string tenant = config_.tenant_id.empty()
                                   ? Environment("AZURE_TENANT_ID")
                                   : config_.tenant_id;
    return SecretRequest(tenant, Environment("AZURE_CLIENT_ID"), secret,
                         now_seconds);
  }
  if (!Environment("AZURE_FEDERATED_TOKEN_FILE").empty()) {
    return WorkloadRequest(now_seconds);
  }
  return ManagedRequest();
}

absl::StatusOr<http::FetchRequest> AzureApi::Request(Fetcher& fetcher,
                                                     const std::string& url) {
  const std::int64_t now = base::Clock::System().NowMs() / 1000;
  NARTHEX_ASSIGN_OR_RETURN(
      const std::string authorization,
      token_.Get(fetcher, now, [this, now] { return TokenRequest(now); }));
  http::FetchRequest request;
  request.url = url;
  request.headers.Set("Authorization", authorization);
  request.headers.Set("Accept", "application/json");
  return request;
}

absl::StatusOr<Json> AzureApi::GetUrl(Fetcher& fetcher,
                                      const std::string& url) {
  NARTHEX_ASSIGN_OR_RETURN(http::FetchRequest request, Request(fetcher, url));
  NARTHEX_ASSIGN_OR_RETURN(const Fetcher::Answer answer,
                           fetcher.Fetch(std::move(request)));
  if (answer.code == 200) return ParseJson(answer.body);
  const std::string message =
      absl::StrCat("Get \"", url, "\": ", StatusLine(answer.code), ": ",
                   absl::string_view(answer.body).substr(0, 200));
  if (answer.code == 404) return absl::NotFoundError(message);
  if (answer.code == 401) token_.Forget();
  return absl::UnavailableError(message);
}

absl::StatusOr<Json> AzureApi::Get(Fetcher& fetcher, const std::string& path) {
  return GetUrl(fetcher, cloud_.management + path);
}

absl::StatusOr<std::vector<Json>> AzureApi::GetAll(
    Fetcher& fetcher, const std::vector<std::string>& paths) {
  std::vector<http::FetchRequest> requests;
  for (const std::string& path : paths) {
    NARTHEX_ASSIGN_OR_RETURN(http::FetchRequest request,
                             Request(fetcher, cloud_.management + path));
    requests.push_back(std::move(request));
  }
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<Fetcher::Answer> answers,
                           fetcher.FetchAll(std::move(requests), kAtOnce));
  std::vector<Json> out;
  for (const Fetcher::Answer& answer : answers) {
    auto json = ParseJson(answer.code == 200 ? answer.body : "null");
    out.push_back(json.ok() ? *std::move(json) : Json());
  }
  return out;
}

absl::Status AzureApi::ForEach(Fetcher& fetcher, const std::string& path,
                               const std::function<void(const Json&)>& visit) {
  std::string url = cloud_.management + path;
  while (!url.empty()) {
    NARTHEX_ASSIGN_OR_RETURN(const Json page, GetUrl(fetcher, url));
    for (const Json& item : Child(page, "value")) visit(item);
    const std::string next = Text(page, "nextLink");
    // The token must not go to another host.
    if (!next.empty() && http::UrlHost(next) != http::UrlHost(url)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the next page is at another host: ", next));
    }
    url = next;
  }
  return absl::OkStatus();
}

}  // namespace narthex::discovery
