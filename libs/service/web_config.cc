#include "libs/service/web_config.h"

#include <crypt.h>

#include <algorithm>
#include <random>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/yaml/decoder.h"

namespace narthex::service {

namespace {

constexpr std::size_t kMaxCompared = 1000;
// Compared with when the user is unknown, so that this takes as long.
constexpr const char* kNobody =
    "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

std::string Resolve(const std::string& config_path, const std::string& path) {
  if (path.empty() || path[0] == '/') return path;
  const auto slash = config_path.rfind('/');
  if (slash == std::string::npos) return path;
  return absl::StrCat(config_path.substr(0, slash + 1), path);
}

absl::Status DecodeClientAuth(const yaml::Node& node,
                              http::ServerTls::ClientAuth* out) {
  using ClientAuth = http::ServerTls::ClientAuth;
  std::string name;
  NARTHEX_RETURN_IF_ERROR(yaml::Decode(node, &name));
  if (name.empty() || name == "NoClientCert") {
    *out = ClientAuth::kNone;
  } else if (name == "RequestClientCert") {
    *out = ClientAuth::kRequest;
  } else if (name == "RequireAnyClientCert") {
    *out = ClientAuth::kRequireAny;
  } else if (name == "VerifyClientCertIfGiven") {
    *out = ClientAuth::kVerifyIfGiven;
  } else if (name == "RequireAndVerifyClientCert") {
    *out = ClientAuth::kRequireAndVerify;
  } else {
    return node.Error(absl::StrCat("invalid ClientAuth: ", name));
  }
  return absl::OkStatus();
}

absl::Status DecodeTls(const yaml::Node& node, const std::string& path,
                       http::ServerTls* tls) {
  yaml::Decoder d(node);
  d.Required("cert_file", &tls->cert_file);
  d.Required("key_file", &tls->key_file);
  d.Field("client_ca_file", &tls->client_ca_file);
  d.Field("min_version", &tls->min_version);
  d.Field("max_version", &tls->max_version);
  if (const yaml::Node* auth = d.Take("client_auth_type")) {
    d.Fail(DecodeClientAuth(*auth, &tls->client_auth));
  }
  bool prefer_server_ciphers = true;
  d.Field("prefer_server_cipher_suites", &prefer_server_ciphers);
  NARTHEX_RETURN_IF_ERROR(d.Done());
  for (std::string* file :
       {&tls->cert_file, &tls->key_file, &tls->client_ca_file}) {
    *file = Resolve(path, *file);
  }
  const bool verifies =
      tls->client_auth == http::ServerTls::ClientAuth::kVerifyIfGiven ||
      tls->client_auth == http::ServerTls::ClientAuth::kRequireAndVerify;
  if (verifies && tls->client_ca_file.empty()) {
    return node.Error("client_ca_file is missing, but clients are verified");
  }
  if (!verifies && !tls->client_ca_file.empty()) {
    return node.Error(
        "client_ca_file is given, but client_auth_type does not verify");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<WebConfig> LoadWebConfig(const std::string& path) {
  NARTHEX_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(path));
  return ParseWebConfig(path, text);
}

absl::StatusOr<WebConfig> ParseWebConfig(const std::string& path,
                                         absl::string_view text) {
  NARTHEX_ASSIGN_OR_RETURN(const auto document,
                           yaml::Document::Parse(text, path));
  WebConfig config;
  yaml::Decoder d(document.root());
  if (const yaml::Node* node = d.Take("tls_server_config");
      node != nullptr && !node->is_null()) {
    auto tls = std::make_shared<http::ServerTls>();
    d.Fail(DecodeTls(*node, path, tls.get()));
    config.tls = std::move(tls);
  }
  if (const yaml::Node* node = d.Take("http_server_config");
      node != nullptr && !node->is_null()) {
    yaml::Decoder http(*node);
    bool http2 = true;
    std::map<std::string, std::string> headers;
    http.Field("http2", &http2);
    http.Field("headers", &headers);
    d.Fail(http.Done());
    config.headers.assign(headers.begin(), headers.end());
  }
  d.Field("basic_auth_users", &config.users);
  NARTHEX_RETURN_IF_ERROR(d.Done());
  return config;
}

BasicAuthGate::BasicAuthGate(std::map<std::string, std::string> users)
    : users_(std::move(users)), salt_(absl::StrCat(std::random_device()())) {}

void BasicAuthGate::SetUsers(std::map<std::string, std::string> users) {
  base::MutexLock lock(mutex_);
  users_ = std::move(users);
  compared_.clear();
}

bool BasicAuthGate::Admit(const http::Request& request,
                          http::Response& response) {
  {
    base::ReaderMutexLock lock(mutex_);
    if (users_.empty()) return true;
  }
  absl::string_view field = request.headers.Get("Authorization");
  std::string decoded;
  if (absl::StartsWithIgnoreCase(field, "Basic ") &&
      absl::Base64Unescape(absl::StripAsciiWhitespace(field.substr(6)),
                           &decoded)) {
    const auto colon = decoded.find(':');
    if (colon != std::string::npos &&
        Matches(absl::string_view(decoded).substr(0, colon),
                absl::string_view(decoded).substr(colon + 1))) {
      return true;
    }
  }
  response.headers().Set("WWW-Authenticate", "Basic");
  response.Error(401, "Unauthorized");
  return false;
}

bool BasicAuthGate::Matches(absl::string_view user,
                            absl::string_view password) {
  std::string stored = kNobody;
  bool known = false;
  {
    base::ReaderMutexLock lock(mutex_);
    if (auto it = users_.find(std::string(user)); it != users_.end()) {
      stored = it->second;
      known = true;
    }
  }
  const std::uint64_t key = base::XxHash64(absl::StrCat(
      salt_, ":", user.size(), ":", user, ":", password, ":", stored));
  {
    base::ReaderMutexLock lock(mutex_);
    if (auto it = compared_.find(key); it != compared_.end()) {
      return it->second;
    }
  }
  crypt_data scratch{};
  const char* hash =
      crypt_r(std::string(password).c_str(), stored.c_str(), &scratch);
  const bool matches = known && hash != nullptr && stored == hash;
  base::MutexLock lock(mutex_);
  if (compared_.size() >= kMaxCompared) compared_.clear();
  compared_[key] = matches;
  return matches;
}

}  // namespace narthex::service
