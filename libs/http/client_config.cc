#include "libs/http/client_config.h"

#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/http/reserved_header.h"
#include "libs/http/url.h"
#include "libs/http/url_check.h"
#include "libs/yaml/optional_fields.h"

namespace narthex::http {
namespace {

using base::SetDirectory;
using yaml::EmitList;
using yaml::EmitMap;
using yaml::EmitSecret;
using yaml::EmitText;
using yaml::EmitTrue;

bool Both(const std::string& a, const std::string& b) {
  return !a.empty() && !b.empty();
}

void DecodeProxy(yaml::Decoder& d, ProxyConfig* config) {
  d.Field("proxy_url", &config->proxy_url);
  if (const absl::Status bad = CheckUrl(config->proxy_url); !bad.ok()) {
    d.Fail(bad.message());
  }
  d.Field("no_proxy", &config->no_proxy);
  d.Field("proxy_from_environment", &config->proxy_from_environment);
  d.Field("proxy_connect_header", &config->proxy_connect_header);
  if (!config->proxy_connect_header.empty() && config->proxy_url.empty() &&
      !config->proxy_from_environment) {
    d.Fail(
        "if proxy_connect_header is configured, proxy_url or "
        "proxy_from_environment must also be configured");
  }
  if (config->proxy_from_environment && !config->proxy_url.empty()) {
    d.Fail(
        "if proxy_from_environment is configured, proxy_url must not be "
        "configured");
  }
  if (config->proxy_from_environment && !config->no_proxy.empty()) {
    d.Fail(
        "if proxy_from_environment is configured, no_proxy must not be "
        "configured");
  }
  if (config->proxy_url.empty() && !config->no_proxy.empty()) {
    d.Fail("if no_proxy is configured, proxy_url must also be configured");
  }
}

void EmitProxy(const ProxyConfig& config, yaml::Emitter* out) {
  EmitText("proxy_url", RedactUrl(config.proxy_url), out);
  EmitText("no_proxy", config.no_proxy, out);
  EmitTrue("proxy_from_environment", config.proxy_from_environment, out);
  if (config.proxy_connect_header.empty()) return;
  out->Key("proxy_connect_header").BeginMap();
  for (const auto& [name, values] : config.proxy_connect_header) {
    out->Field(name,
               std::vector<std::string>(values.size(), yaml::kHiddenSecret));
  }
  out->EndMap();
}

/// "x-amz-date" as "X-Amz-Date".
std::string CanonicalHeader(const std::string& name) {
  std::string out = absl::AsciiStrToLower(name);
  bool begins = true;
  for (char& c : out) {
    if (begins) c = absl::ascii_toupper(static_cast<unsigned char>(c));
    begins = c == '-';
  }
  return out;
}

/// The old spelling of `authorization`, inline and without type.
void DecodeBearerToken(yaml::Decoder& d, ClientConfig* config) {
  std::string token;
  std::string file;
  d.Field("bearer_token", &token);
  d.Field("bearer_token_file", &file);
  if (token.empty() && file.empty()) return;
  if (Both(token, file)) {
    d.Fail(
        "at most one of bearer_token & bearer_token_file must be "
        "configured");
  }
  if (config->basic_auth.has_value() || config->oauth2.has_value()) {
    d.Fail(
        "at most one of basic_auth, oauth2, bearer_token & "
        "bearer_token_file must be configured");
  }
  if (config->authorization.has_value()) {
    d.Fail(
        "authorization is not compatible with bearer_token & "
        "bearer_token_file");
  }
  config->authorization = Authorization{"Bearer", token, file};
}

}  // namespace

absl::Status Decode(const yaml::Node& node, BasicAuth* config) {
  yaml::Decoder d(node);
  d.Field("username", &config->username);
  d.Field("username_file", &config->username_file);
  d.Field("password", &config->password);
  d.Field("password_file", &config->password_file);
  if (Both(config->username, config->username_file)) {
    d.Fail(
        "at most one of basic_auth username & username_file must be "
        "configured");
  }
  if (Both(config->password, config->password_file)) {
    d.Fail(
        "at most one of basic_auth password & password_file must be "
        "configured");
  }
  return d.Done();
}

absl::Status Decode(const yaml::Node& node, Authorization* config) {
  yaml::Decoder d(node);
  d.Field("type", &config->type);
  d.Field("credentials", &config->credentials);
  d.Field("credentials_file", &config->credentials_file);
  config->type = std::string(absl::StripAsciiWhitespace(config->type));
  if (config->type.empty()) config->type = "Bearer";
  if (Both(config->credentials, config->credentials_file)) {
    d.Fail(
        "at most one of authorization credentials & credentials_file must "
        "be configured");
  }
  if (absl::AsciiStrToLower(config->type) == "basic") {
    d.Fail(
        "authorization type cannot be set to \"basic\", use \"basic_auth\" "
        "instead");
  }
  return d.Done();
}

namespace {

/// The value of a claim. A scalar without quotes that reads as JSON (a number,
/// a bool) is that, all others are text.
nlohmann::json ToJson(const yaml::Node& node) {
  nlohmann::json out;
  if (node.is_map()) {
    out = nlohmann::json::object();
    for (const auto& entry : node.entries()) {
      out[entry.key] = ToJson(*entry.value);
    }
  } else if (node.is_sequence()) {
    out = nlohmann::json::array();
    for (const auto& item : node.items()) out.push_back(ToJson(*item));
  } else if (node.is_scalar()) {
    if (!node.quoted()) {
      out = nlohmann::json::parse(node.scalar(), nullptr,
                                  /*allow_exceptions=*/false);
    }
    if (node.quoted() || !out.is_primitive() || out.is_discarded()) {
      out = node.scalar();
    }
  }
  return out;
}

void CheckOAuth2(const OAuth2& config, yaml::Decoder& d) {
  if (config.client_id.empty()) d.Fail("oauth2 client_id must be configured");
  if (config.token_url.empty()) d.Fail("oauth2 token_url must be configured");
  if (config.grant_type != kJwtBearerGrant) {
    if (Both(config.client_secret, config.client_secret_file)) {
      d.Fail(
          "at most one of oauth2 client_secret & client_secret_file must be "
          "configured using grant-type=client_credentials");
    }
    return;
  }
  if (Both(config.client_certificate_key, config.client_certificate_key_file)) {
    d.Fail(
        "at most one of oauth2 client_certificate_key & "
        "client_certificate_key_file must be configured using "
        "grant-type=urn:ietf:params:oauth:grant-type:jwt-bearer");
  }
  const std::string& algorithm = config.signature_algorithm;
  if (!algorithm.empty() && algorithm != "RS256" && algorithm != "RS384" &&
      algorithm != "RS512") {
    d.Fail("valid signature algorithms are RS256, RS384 and RS512");
  }
}

}  // namespace

absl::Status Decode(const yaml::Node& node, OAuth2* config) {
  yaml::Decoder d(node);
  d.Field("client_id", &config->client_id);
  d.Field("client_secret", &config->client_secret);
  d.Field("client_secret_file", &config->client_secret_file);
  d.Field("scopes", &config->scopes);
  d.Field("token_url", &config->token_url);
  d.Field("endpoint_params", &config->endpoint_params);
  d.Field("tls_config", &config->tls);
  DecodeProxy(d, &config->proxy);
  d.Field("grant_type", &config->grant_type);
  d.Field("client_certificate_key", &config->client_certificate_key);
  d.Field("client_certificate_key_file", &config->client_certificate_key_file);
  d.Field("client_certificate_key_id", &config->client_certificate_key_id);
  d.Field("signature_algorithm", &config->signature_algorithm);
  d.Field("iss", &config->iss);
  d.Field("audience", &config->audience);
  if (const yaml::Node* claims = d.Take("claims"); claims != nullptr) {
    for (const auto& [name, line, value] : claims->entries()) {
      config->claims[name] = ToJson(*value).dump();
    }
  }
  CheckOAuth2(*config, d);
  return d.Done();
}

absl::Status Decode(const yaml::Node& node, HeaderValues* header) {
  yaml::Decoder d(node);
  d.Field("values", &header->values);
  d.Field("secrets", &header->secrets);
  d.Field("files", &header->files);
  return d.Done();
}

absl::Status Decode(const yaml::Node& node, TlsConfig* config) {
  yaml::Decoder d(node);
  d.Field("ca", &config->ca);
  d.Field("cert", &config->cert);
  d.Field("key", &config->key);
  d.Field("ca_file", &config->ca_file);
  d.Field("cert_file", &config->cert_file);
  d.Field("key_file", &config->key_file);
  d.Field("server_name", &config->server_name);
  d.Field("insecure_skip_verify", &config->insecure_skip_verify);
  d.Field("min_version", &config->min_version);
  d.Field("max_version", &config->max_version);
  for (const char* field : {"min_version", "max_version"}) {
    const std::string& version = absl::string_view(field) == "min_version"
                                     ? config->min_version
                                     : config->max_version;
    if (!version.empty() && version != "TLS10" && version != "TLS11" &&
        version != "TLS12" && version != "TLS13") {
      d.FailField(field, absl::StrCat("unknown TLS version: ", version));
    }
  }
  if (Both(config->ca, config->ca_file)) {
    d.Fail("at most one of ca & ca_file must be configured");
  }
  if (Both(config->cert, config->cert_file)) {
    d.Fail("at most one of cert & cert_file must be configured");
  }
  if (Both(config->key, config->key_file)) {
    d.Fail("at most one of key & key_file must be configured");
  }
  const bool has_cert = !config->cert.empty() || !config->cert_file.empty();
  const bool has_key = !config->key.empty() || !config->key_file.empty();
  if (has_cert && !has_key) {
    d.Fail(
        "exactly one of key or key_file must be configured when a client "
        "certificate is configured");
  }
  if (has_key && !has_cert) {
    d.Fail(
        "exactly one of cert or cert_file must be configured when a client "
        "key is configured");
  }
  return d.Done();
}

void EmitTls(const TlsConfig& config, yaml::Emitter* out) {
  if (config == TlsConfig()) return;
  out->Key("tls_config").BeginMap();
  EmitText("ca", config.ca, out);
  EmitText("cert", config.cert, out);
  EmitSecret("key", config.key, out);
  EmitText("ca_file", config.ca_file, out);
  EmitText("cert_file", config.cert_file, out);
  EmitText("key_file", config.key_file, out);
  EmitText("server_name", config.server_name, out);
  out->Field("insecure_skip_verify", config.insecure_skip_verify);
  EmitText("min_version", config.min_version, out);
  EmitText("max_version", config.max_version, out);
  out->EndMap();
}

void SetDirectory(const std::string& directory, TlsConfig* config) {
  SetDirectory(directory, &config->ca_file);
  SetDirectory(directory, &config->cert_file);
  SetDirectory(directory, &config->key_file);
}

void DecodeClientConfig(yaml::Decoder& d, ClientConfig* config) {
  d.Field("basic_auth", &config->basic_auth);
  d.Field("authorization", &config->authorization);
  d.Field("oauth2", &config->oauth2);
  d.Field("tls_config", &config->tls);
  d.Field("follow_redirects", &config->follow_redirects);
  d.Field("enable_http2", &config->enable_http2);
  DecodeProxy(d, &config->proxy);
  d.Field("http_headers", &config->http_headers);
  DecodeBearerToken(d, config);
  const int kinds = config->basic_auth.has_value() +
                    config->authorization.has_value() +
                    config->oauth2.has_value();
  if (kinds > 1) {
    d.Fail(
        "at most one of basic_auth, oauth2 & authorization must be "
        "configured");
  }
  for (const auto& [name, header] : config->http_headers) {
    if (!IsReservedHeader(name)) continue;
    d.FailField("http_headers", absl::StrCat("setting header ",
                                             base::Quote(CanonicalHeader(name)),
                                             " is not allowed"));
  }
}

namespace {

void EmitClaims(const std::map<std::string, std::string>& claims,
                yaml::Emitter* out) {
  if (claims.empty()) return;
  out->Key("claims").BeginMap();
  for (const auto& [name, json] : claims) out->Key(name).Json(json);
  out->EndMap();
}

void EmitAuthentication(const ClientConfig& config, yaml::Emitter* out) {
  if (config.basic_auth.has_value()) {
    const BasicAuth& basic = *config.basic_auth;
    out->Key("basic_auth").BeginMap();
    EmitText("username", basic.username, out);
    EmitText("username_file", basic.username_file, out);
    EmitSecret("password", basic.password, out);
    EmitText("password_file", basic.password_file, out);
    out->EndMap();
  }
  if (config.authorization.has_value()) {
    const Authorization& authorization = *config.authorization;
    out->Key("authorization").BeginMap();
    EmitText("type", authorization.type, out);
    EmitSecret("credentials", authorization.credentials, out);
    EmitText("credentials_file", authorization.credentials_file, out);
    out->EndMap();
  }
  if (config.oauth2.has_value()) {
    const OAuth2& oauth2 = *config.oauth2;
    out->Key("oauth2").BeginMap();
    out->Field("client_id", oauth2.client_id);
    EmitSecret("client_secret", oauth2.client_secret, out);
    EmitText("client_secret_file", oauth2.client_secret_file, out);
    EmitText("client_certificate_key_id", oauth2.client_certificate_key_id,
             out);
    EmitSecret("client_certificate_key", oauth2.client_certificate_key, out);
    EmitText("client_certificate_key_file", oauth2.client_certificate_key_file,
             out);
    EmitText("grant_type", oauth2.grant_type, out);
    EmitText("signature_algorithm", oauth2.signature_algorithm, out);
    EmitText("iss", oauth2.iss, out);
    EmitText("audience", oauth2.audience, out);
    EmitClaims(oauth2.claims, out);
    EmitList("scopes", oauth2.scopes, out);
    out->Field("token_url", oauth2.token_url);
    EmitMap("endpoint_params", oauth2.endpoint_params, out);
    EmitTls(oauth2.tls, out);
    EmitProxy(oauth2.proxy, out);
    out->EndMap();
  }
}

}  // namespace

void EmitClientConfig(const ClientConfig& config, yaml::Emitter* out) {
  EmitAuthentication(config, out);
  EmitTls(config.tls, out);
  out->Field("follow_redirects", config.follow_redirects);
  out->Field("enable_http2", config.enable_http2);
  EmitProxy(config.proxy, out);
  if (config.http_headers.empty()) return;
  out->Key("http_headers").BeginMap();
  for (const auto& [name, header] : config.http_headers) {
    out->Key(name).BeginMap();
    EmitList("values", header.values, out);
    EmitList(
        "secrets",
        std::vector<std::string>(header.secrets.size(), yaml::kHiddenSecret),
        out);
    EmitList("files", header.files, out);
    out->EndMap();
  }
  out->EndMap();
}

void SetDirectory(const std::string& directory, ClientConfig* config) {
  if (config->basic_auth.has_value()) {
    SetDirectory(directory, &config->basic_auth->username_file);
    SetDirectory(directory, &config->basic_auth->password_file);
  }
  if (config->authorization.has_value()) {
    SetDirectory(directory, &config->authorization->credentials_file);
  }
  if (config->oauth2.has_value()) {
    SetDirectory(directory, &config->oauth2->client_secret_file);
    SetDirectory(directory, &config->oauth2->client_certificate_key_file);
    SetDirectory(directory, &config->oauth2->tls);
  }
  SetDirectory(directory, &config->tls);
  for (auto& [name, header] : config->http_headers) {
    for (std::string& file : header.files) SetDirectory(directory, &file);
  }
}

}  // namespace narthex::http
