#include "libs/discovery/openstack_session.h"

#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/status.h"

namespace narthex::discovery {
namespace {

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// The configuration's credentials, or those of the environment.
OpenstackConfig Credentials(const OpenstackConfig& config) {
  if (!config.identity_endpoint.empty()) return config;
  OpenstackConfig out;
  out.identity_endpoint = Environment("OS_AUTH_URL");
  out.username = Environment("OS_USERNAME");
  out.userid = Environment("OS_USERID");
  out.password = Environment("OS_PASSWORD");
  out.project_id = Environment("OS_PROJECT_ID");
  if (out.project_id.empty()) out.project_id = Environment("OS_TENANT_ID");
  out.project_name = Environment("OS_PROJECT_NAME");
  if (out.project_name.empty()) {
    out.project_name = Environment("OS_TENANT_NAME");
  }
  out.domain_id = Environment("OS_DOMAIN_ID");
  out.domain_name = Environment("OS_DOMAIN_NAME");
  out.application_credential_id = Environment("OS_APPLICATION_CREDENTIAL_ID");
  out.application_credential_name =
      Environment("OS_APPLICATION_CREDENTIAL_NAME");
  out.application_credential_secret =
      Environment("OS_APPLICATION_CREDENTIAL_SECRET");
  return out;
}

Json Domain(const OpenstackConfig& c) {
  if (!c.domain_id.empty()) return Json::Map({{"id", c.domain_id}});
  return Json::Map({{"name", c.domain_name}});
}

/// The user with `more`.
Json User(const OpenstackConfig& c, std::vector<Json::Member> more) {
  if (!c.userid.empty()) {
    more.push_back({"id", c.userid});
  } else {
    more.push_back({"name", c.username});
    more.push_back({"domain", Domain(c)});
  }
  return Json::Map(std::move(more));
}

Json ApplicationIdentity(const OpenstackConfig& c) {
  std::vector<Json::Member> credential = {
      {"secret", c.application_credential_secret}};
  if (!c.application_credential_id.empty()) {
    credential.push_back({"id", c.application_credential_id});
  } else {
    credential.push_back({"name", c.application_credential_name});
    credential.push_back({"user", User(c, {})});
  }
  return Json::Map({{"methods", Json::List({"application_credential"})},
                    {"application_credential", Json::Map(credential)}});
}

Json PasswordIdentity(const OpenstackConfig& c) {
  return Json::Map(
      {{"methods", Json::List({"password"})},
       {"password",
        Json::Map({{"user", User(c, {{"password", c.password}})}})}});
}

Json AuthBody(const OpenstackConfig& c) {
  std::vector<Json::Member> auth;
  if (!c.application_credential_id.empty() ||
      !c.application_credential_name.empty()) {
    auth.push_back({"identity", ApplicationIdentity(c)});
    return Json::Map({{"auth", Json::Map(auth)}});
  }
  auth.push_back({"identity", PasswordIdentity(c)});
  std::vector<Json::Member> project;
  if (!c.project_id.empty()) {
    project = {{"id", c.project_id}};
  } else if (!c.project_name.empty()) {
    project = {{"name", c.project_name}, {"domain", Domain(c)}};
  }
  if (!project.empty()) {
    auth.push_back({"scope", Json::Map({{"project", Json::Map(project)}})});
  }
  return Json::Map({{"auth", Json::Map(auth)}});
}

/// `url` with a slash at its end.
std::string WithSlash(absl::string_view url) {
  return absl::StrCat(url, absl::EndsWith(url, "/") ? "" : "/");
}

std::string TokenUrl(const std::string& identity_endpoint) {
  absl::string_view base = identity_endpoint;
  absl::ConsumeSuffix(&base, "/");
  return absl::StrCat(base, absl::EndsWith(base, "/v3") ? "" : "/v3",
                      "/auth/tokens");
}

absl::Status Failure(const Fetcher::Answer& answer, const std::string& url) {
  return absl::UnavailableError(
      absl::StrCat(url, ": ", StatusLine(answer.code), ": ",
                   absl::string_view(answer.body).substr(0, 200)));
}

}  // namespace

absl::StatusOr<OpenstackSession> OpenstackSession::Open(
    const OpenstackConfig& config, Fetcher& fetcher) {
  constexpr char kWhat[] = "could not authenticate to OpenStack";
  const OpenstackConfig credentials = Credentials(config);
  if (credentials.identity_endpoint.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(kWhat, ": missing environment variable OS_AUTH_URL"));
  }
  http::FetchRequest request;
  request.url = TokenUrl(credentials.identity_endpoint);
  request.method = "POST";
  request.headers.Set("Content-Type", "application/json");
  request.body = AuthBody(credentials).Dump();
  request.timeout_ms = config.refresh_interval_ms;
  const std::string url = request.url;
  const auto answer = fetcher.Fetch(std::move(request));
  if (!answer.ok()) return base::Annotate(answer.status(), kWhat);
  if (answer->code != 201 && answer->code != 200) {
    return base::Annotate(Failure(*answer, url), kWhat);
  }
  const auto json = ParseJson(answer->body);
  if (!json.ok()) return base::Annotate(json.status(), kWhat);
  OpenstackSession session(config, fetcher);
  session.token_ = std::string(answer->headers.Get("X-Subject-Token"));
  session.catalog_ = Child(Child(*json, "token"), "catalog");
  return session;
}

absl::StatusOr<std::string> OpenstackSession::Endpoint(
    const std::string& type) const {
  for (const Json& service : catalog_) {
    if (Text(service, "type") != type) continue;
    for (const Json& endpoint : Child(service, "endpoints")) {
      const bool here = Text(endpoint, "region_id") == config_.region ||
                        Text(endpoint, "region") == config_.region;
      if (here && Text(endpoint, "interface") == config_.availability) {
        return WithSlash(Text(endpoint, "url"));
      }
    }
  }
  return absl::NotFoundError(absl::StrCat(
      "could not create OpenStack ", type, " session: no ",
      config_.availability, " endpoint in region ", config_.region));
}

absl::Status OpenstackSession::ForEach(
    const std::string& url, const std::string& key,
    const std::function<void(const Json&)>& visit) const {
  std::string page = url;
  while (!page.empty()) {
    http::FetchRequest request;
    request.url = page;
    request.headers.Set("X-Auth-Token", token_);
    request.headers.Set("Accept", "application/json");
    request.timeout_ms = config_.refresh_interval_ms;
    NARTHEX_ASSIGN_OR_RETURN(const Fetcher::Answer answer,
                             fetcher_.Fetch(std::move(request)));
    if (answer.code != 200) return Failure(answer, page);
    NARTHEX_ASSIGN_OR_RETURN(const Json json, ParseJson(answer.body));
    for (const Json& item : Child(json, key.c_str())) visit(item);
    const std::string last = std::exchange(page, "");
    for (const Json& link : Child(json, (key + "_links").c_str())) {
      if (Text(link, "rel") == "next") page = Text(link, "href");
    }
    if (page == last) page.clear();
  }
  return absl::OkStatus();
}

}  // namespace narthex::discovery
