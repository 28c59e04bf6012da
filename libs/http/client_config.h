#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/yaml/decoder.h"
#include "libs/yaml/emitter.h"

/// Prometheus's HTTP client configuration. A secret is given as text or as a
/// file, which is read at use; so a rotated file needs no reload.
namespace narthex::http {

struct BasicAuth {
  std::string username;
  std::string username_file;
  std::string password;
  std::string password_file;
  friend bool operator==(const BasicAuth&, const BasicAuth&) = default;
};

/// `Authorization: <type> <credentials>`.
struct Authorization {
  std::string type = "Bearer";
  std::string credentials;
  std::string credentials_file;
  friend bool operator==(const Authorization&, const Authorization&) = default;
};

/// How to verify the server and show who we are; PEM in files or as text.
struct TlsConfig {
  std::string ca = {};
  std::string cert = {};
  std::string key = {};
  std::string ca_file = {};
  std::string cert_file = {};
  std::string key_file = {};
  /// Name to verify and to send, when it is not the host of the URL.
  std::string server_name = {};
  bool insecure_skip_verify = false;
  /// "TLS10" .. "TLS13"; empty: from 1.2 on.
  std::string min_version = {};
  std::string max_version = {};
  friend bool operator==(const TlsConfig&, const TlsConfig&) = default;
};

struct ProxyConfig {
  std::string proxy_url;
  /// Comma-separated hosts, domains and networks that are asked directly.
  std::string no_proxy;
  /// Takes HTTP_PROXY, HTTPS_PROXY and NO_PROXY from the environment.
  bool proxy_from_environment = false;
  /// Sent with CONNECT alone.
  std::map<std::string, std::vector<std::string>> proxy_connect_header;
  friend bool operator==(const ProxyConfig&, const ProxyConfig&) = default;
};

inline constexpr char kJwtBearerGrant[] =
    "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Requests carry a token that a server at `token_url` gives out.
struct OAuth2 {
  std::string client_id;
  std::string client_secret;
  std::string client_secret_file;
  /// kJwtBearerGrant, or anything else for client credentials.
  std::string grant_type;
  /// For kJwtBearerGrant: the key that signs, as PEM, and what it signs.
  std::string client_certificate_key;
  std::string client_certificate_key_file;
  std::string client_certificate_key_id;
  /// "RS256" (if empty), "RS384", "RS512".
  std::string signature_algorithm;
  std::string iss;
  std::string audience;
  /// Values are JSON.
  std::map<std::string, std::string> claims;
  std::vector<std::string> scopes;
  std::string token_url;
  std::map<std::string, std::string> endpoint_params;
  /// For the requests to `token_url`.
  TlsConfig tls;
  ProxyConfig proxy;
  friend bool operator==(const OAuth2&, const OAuth2&) = default;
};

/// One entry of http_headers: all values of all three lists are sent.
struct HeaderValues {
  std::vector<std::string> values;
  std::vector<std::string> secrets;
  std::vector<std::string> files;
  friend bool operator==(const HeaderValues&, const HeaderValues&) = default;
};

/// How requests of one kind are sent. At most one of the three kinds of
/// authentication is set.
struct ClientConfig {
  std::optional<BasicAuth> basic_auth;
  std::optional<Authorization> authorization;
  std::optional<OAuth2> oauth2;
  TlsConfig tls;
  bool follow_redirects = true;
  bool enable_http2 = true;
  ProxyConfig proxy;
  /// Sent with every request; neither they nor credentials go to another host
  /// that a redirect leads to.
  std::map<std::string, HeaderValues> http_headers;

  friend bool operator==(const ClientConfig&, const ClientConfig&) = default;
};

/// Takes and checks the client's fields from the map that `d` reads.
void DecodeClientConfig(yaml::Decoder& d, ClientConfig* config);
/// Prints the same fields into the open map, secrets hidden.
void EmitClientConfig(const ClientConfig& config, yaml::Emitter* out);
/// Makes relative paths begin at `directory`.
void SetDirectory(const std::string& directory, ClientConfig* config);

absl::Status Decode(const yaml::Node& node, TlsConfig* config);
absl::Status Decode(const yaml::Node& node, BasicAuth* config);
absl::Status Decode(const yaml::Node& node, Authorization* config);
absl::Status Decode(const yaml::Node& node, OAuth2* config);
absl::Status Decode(const yaml::Node& node, HeaderValues* header);
/// Prints `tls_config` into the open map unless it is empty.
void EmitTls(const TlsConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, TlsConfig* config);

}  // namespace narthex::http
