#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/yaml/decoder.h"
#include "libs/yaml/emitter.h"

namespace narthex::http {
struct ClientConfig;
}

namespace narthex::config {

/// Credentials are given as text or as a file; files are named by paths that
/// Load() has made independent of the working directory.
struct BasicAuth {
  std::string username;
  std::string username_file;
  std::string password;
  std::string password_file;
  friend bool operator==(const BasicAuth&, const BasicAuth&) = default;
};

struct Authorization {
  std::string type = "Bearer";
  std::string credentials;
  std::string credentials_file;
  friend bool operator==(const Authorization&, const Authorization&) = default;
};

struct TlsConfig {
  std::string ca;
  std::string cert;
  std::string key;
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  std::string server_name;
  bool insecure_skip_verify = false;
  std::string min_version;
  std::string max_version;
  friend bool operator==(const TlsConfig&, const TlsConfig&) = default;
};

struct ProxyConfig {
  std::string proxy_url;
  std::string no_proxy;
  bool proxy_from_environment = false;
  std::map<std::string, std::vector<std::string>> proxy_connect_header;
  friend bool operator==(const ProxyConfig&, const ProxyConfig&) = default;
};

struct OAuth2 {
  std::string client_id;
  std::string client_secret;
  std::string client_secret_file;
  std::vector<std::string> scopes;
  std::string token_url;
  std::map<std::string, std::string> endpoint_params;
  TlsConfig tls;
  ProxyConfig proxy;
  friend bool operator==(const OAuth2&, const OAuth2&) = default;
};

/// One entry of http_headers: all values of all three lists are sent.
struct HttpHeader {
  std::vector<std::string> values;
  std::vector<std::string> secrets;
  std::vector<std::string> files;
  friend bool operator==(const HttpHeader&, const HttpHeader&) = default;
};

/// The fields of Prometheus's HTTP clients, inline in several sections. At
/// most one of the three kinds of authentication is set.
struct HttpClientConfig {
  std::optional<BasicAuth> basic_auth;
  std::optional<Authorization> authorization;
  std::optional<OAuth2> oauth2;
  TlsConfig tls;
  bool follow_redirects = true;
  bool enable_http2 = true;
  ProxyConfig proxy;
  std::map<std::string, HttpHeader> http_headers;

  friend bool operator==(const HttpClientConfig&,
                         const HttpClientConfig&) = default;
};

/// Takes and checks the client's fields from the map that `d` reads.
void DecodeHttpClient(yaml::Decoder& d, HttpClientConfig* config);
/// Prints the same fields into the open map, secrets hidden.
void EmitHttpClient(const HttpClientConfig& config, yaml::Emitter* out);
/// Makes relative paths begin at `directory`.
void SetDirectory(const std::string& directory, HttpClientConfig* config);

absl::Status Decode(const yaml::Node& node, TlsConfig* config);
absl::Status Decode(const yaml::Node& node, BasicAuth* config);
absl::Status Decode(const yaml::Node& node, Authorization* config);
absl::Status Decode(const yaml::Node& node, OAuth2* config);
absl::Status Decode(const yaml::Node& node, HttpHeader* header);
/// Prints `tls_config` into the open map unless it is empty.
void EmitTls(const TlsConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, TlsConfig* config);

/// The configuration as the HTTP client takes it. kInvalidArgument when a
/// header file cannot be read, kUnimplemented for oauth2.
absl::StatusOr<std::shared_ptr<const http::ClientConfig>> ToClientConfig(
    const HttpClientConfig& config);

}  // namespace narthex::config
