#include "services/alertmanager/http_config.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace narthex::alertmanager {
namespace {

/// At most one of the two forms of a secret.
void CheckEither(yaml::Decoder& decoder, absl::string_view name) {
  if (decoder.Has(name) && decoder.Has(absl::StrCat(name, "_file"))) {
    decoder.Fail(absl::StrCat("at most one of ", name, " & ", name,
                              "_file must be configured"));
  }
}

absl::Status DecodeBasicAuth(const yaml::Node& node, http::ClientConfig* out) {
  yaml::Decoder decoder(node);
  decoder.Field("username", &out->username);
  decoder.Field("username_file", &out->username_file);
  decoder.Field("password", &out->password);
  decoder.Field("password_file", &out->password_file);
  CheckEither(decoder, "username");
  CheckEither(decoder, "password");
  return decoder.Done();
}

absl::Status DecodeAuthorization(const yaml::Node& node,
                                 http::ClientConfig* out) {
  yaml::Decoder decoder(node);
  decoder.Field("type", &out->authorization_type);
  decoder.Field("credentials", &out->credentials);
  decoder.Field("credentials_file", &out->credentials_file);
  CheckEither(decoder, "credentials");
  if (absl::EqualsIgnoreCase(out->authorization_type, "basic")) {
    decoder.FailField("type",
                      "authorization type cannot be set to \"basic\", use "
                      "basic_auth instead");
  }
  return decoder.Done();
}

absl::Status DecodeTls(const yaml::Node& node, http::TlsOptions* out) {
  yaml::Decoder decoder(node);
  decoder.Field("ca", &out->ca);
  decoder.Field("ca_file", &out->ca_file);
  decoder.Field("cert", &out->cert);
  decoder.Field("cert_file", &out->cert_file);
  decoder.Field("key", &out->key);
  decoder.Field("key_file", &out->key_file);
  decoder.Field("server_name", &out->server_name);
  decoder.Field("insecure_skip_verify", &out->insecure_skip_verify);
  decoder.Field("min_version", &out->min_version);
  decoder.Field("max_version", &out->max_version);
  for (const char* name : {"ca", "cert", "key"}) CheckEither(decoder, name);
  return decoder.Done();
}

absl::Status DecodeProxyHeaders(const yaml::Node& node, http::Headers* out) {
  std::map<std::string, std::vector<std::string>> headers;
  if (absl::Status status = yaml::Decode(node, &headers); !status.ok()) {
    return status;
  }
  for (const auto& [name, values] : headers) {
    for (const std::string& value : values) out->Add(name, value);
  }
  return absl::OkStatus();
}

absl::Status DecodeHeader(const yaml::Node& node, const std::string& name,
                          http::Headers* out) {
  yaml::Decoder decoder(node);
  std::vector<std::string> values;
  std::vector<std::string> secrets;
  decoder.Field("values", &values);
  decoder.Field("secrets", &secrets);
  if (decoder.Take("files") != nullptr) {
    decoder.FailField("files", "known to Alertmanager, not supported yet");
  }
  for (const std::string& value : values) out->Add(name, value);
  for (const std::string& value : secrets) out->Add(name, value);
  return decoder.Done();
}

absl::Status DecodeHeaders(const yaml::Node& node, http::Headers* out) {
  if (!node.is_map()) return node.Error("expected a map");
  for (const yaml::Node::Entry& entry : node.entries()) {
    if (absl::Status status = DecodeHeader(*entry.value, entry.key, out);
        !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

/// Whether the field is there with a value, for sections of their own.
const yaml::Node* Section(yaml::Decoder& decoder, absl::string_view name) {
  const yaml::Node* node = decoder.Take(name);
  return node == nullptr || node->is_null() ? nullptr : node;
}

void TakeAuthentication(yaml::Decoder& decoder, http::ClientConfig* out) {
  int kinds = 0;
  if (const yaml::Node* node = Section(decoder, "basic_auth")) {
    decoder.Fail(DecodeBasicAuth(*node, out));
    ++kinds;
  }
  if (const yaml::Node* node = Section(decoder, "authorization")) {
    decoder.Fail(DecodeAuthorization(*node, out));
    ++kinds;
  }
  CheckEither(decoder, "bearer_token");
  kinds += decoder.Field("bearer_token", &out->credentials) ? 1 : 0;
  kinds += decoder.Field("bearer_token_file", &out->credentials_file) ? 1 : 0;
  if (Section(decoder, "oauth2") != nullptr) {
    decoder.FailField("oauth2", "known to Alertmanager, not supported yet");
  }
  if (kinds > 1) {
    decoder.Fail(
        "at most one of basic_auth, oauth2 & authorization must be "
        "configured");
  }
}

void TakeProxy(yaml::Decoder& decoder, http::ClientConfig* out) {
  decoder.Field("proxy_url", &out->proxy_url);
  decoder.Field("no_proxy", &out->no_proxy);
  decoder.Field("proxy_from_environment", &out->proxy_from_environment);
  if (const yaml::Node* node = Section(decoder, "proxy_connect_header")) {
    decoder.Fail(DecodeProxyHeaders(*node, &out->proxy_connect_headers));
  }
  if (out->proxy_from_environment && !out->proxy_url.empty()) {
    decoder.Fail(
        "if proxy_from_environment is configured, proxy_url must not be "
        "configured");
  }
}

}  // namespace

absl::Status DecodeHttpConfig(const yaml::Node& node, http::ClientConfig* out) {
  yaml::Decoder decoder(node);
  TakeAuthentication(decoder, out);
  TakeProxy(decoder, out);
  if (const yaml::Node* tls = Section(decoder, "tls_config")) {
    decoder.Fail(DecodeTls(*tls, &out->tls));
  }
  if (const yaml::Node* headers = Section(decoder, "http_headers")) {
    decoder.Fail(DecodeHeaders(*headers, &out->headers));
  }
  decoder.Field("follow_redirects", &out->follow_redirects);
  decoder.Field("enable_http2", &out->enable_http2);
  return decoder.Done();
}

void ResolveFiles(absl::string_view directory, http::ClientConfig* config) {
  for (std::string* file : {&config->username_file, &config->password_file,
                            &config->credentials_file, &config->tls.ca_file,
                            &config->tls.cert_file, &config->tls.key_file}) {
    if (!file->empty() && file->front() != '/') {
      *file = absl::StrCat(directory, "/", *file);
    }
  }
}

}  // namespace narthex::alertmanager
