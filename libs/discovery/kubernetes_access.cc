#include "libs/discovery/kubernetes_access.h"

#include <cstdlib>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/file.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/yaml/decoder.h"

namespace narthex::discovery {
namespace {

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string WithoutSlash(absl::string_view url) {
  while (absl::ConsumeSuffix(&url, "/")) {
  }
  return std::string(url);
}

/// A scalar of a map, empty when it is not there.
std::string Scalar(const yaml::Node* map, absl::string_view key) {
  const yaml::Node* value = map == nullptr ? nullptr : map->Find(key);
  return value == nullptr ? "" : value->scalar();
}

/// The `what` of the entry called `name` in the list `list_name`.
absl::StatusOr<const yaml::Node*> Entry(const yaml::Node& root,
                                        absl::string_view list_name,
                                        const std::string& name,
                                        absl::string_view what) {
  const yaml::Node* list = root.Find(list_name);
  if (list != nullptr) {
    for (const auto& item : list->items()) {
      if (Scalar(item.get(), "name") != name) continue;
      if (const yaml::Node* found = item->Find(what)) return found;
    }
  }
  return root.Error(
      absl::StrCat("no ", what, " ", base::Quote(name), " in ", list_name));
}

/// Takes "<key>-data", base64, before the file "<key>".
absl::Status ReadPem(const yaml::Node* map, const std::string& key,
                     const std::string& directory, std::string* text,
                     std::string* file) {
  const std::string data = Scalar(map, key + "-data");
  if (!data.empty()) {
    if (!absl::Base64Unescape(data, text)) {
      return map->Error(absl::StrCat(key, "-data is not base64"));
    }
    return absl::OkStatus();
  }
  *file = Scalar(map, key);
  base::SetDirectory(directory, file);
  return absl::OkStatus();
}

absl::Status ReadUser(const yaml::Node& user, const std::string& directory,
                      http::ClientConfig* client) {
  for (const char* program : {"exec", "auth-provider"}) {
    if (user.Find(program) == nullptr) continue;
    return absl::UnimplementedError(absl::StrCat(
        "users known by ", program,
        " are not supported: use a token, a certificate or a password"));
  }
  NARTHEX_RETURN_IF_ERROR(ReadPem(&user, "client-certificate", directory,
                                  &client->tls.cert, &client->tls.cert_file));
  NARTHEX_RETURN_IF_ERROR(ReadPem(&user, "client-key", directory,
                                  &client->tls.key, &client->tls.key_file));
  std::string token_file = Scalar(&user, "tokenFile");
  base::SetDirectory(directory, &token_file);
  const std::string token = Scalar(&user, "token");
  if (!token_file.empty()) {
    client->authorization = http::Authorization{"Bearer", "", token_file};
  } else if (!token.empty()) {
    client->authorization = http::Authorization{"Bearer", token, ""};
  } else if (const std::string name = Scalar(&user, "username");
             !name.empty()) {
    client->basic_auth =
        http::BasicAuth{name, "", Scalar(&user, "password"), ""};
  }
  return absl::OkStatus();
}

absl::StatusOr<KubernetesAccess> ReadKubeconfig(const yaml::Node& root,
                                                const std::string& directory) {
  const std::string current = Scalar(&root, "current-context");
  if (current.empty()) return root.Error("current-context is not set");
  NARTHEX_ASSIGN_OR_RETURN(const yaml::Node* context,
                           Entry(root, "contexts", current, "context"));
  NARTHEX_ASSIGN_OR_RETURN(
      const yaml::Node* cluster,
      Entry(root, "clusters", Scalar(context, "cluster"), "cluster"));
  auto client = std::make_shared<http::ClientConfig>();
  KubernetesAccess access;
  access.url = WithoutSlash(Scalar(cluster, "server"));
  if (access.url.empty()) return cluster->Error("server is not set");
  http::TlsConfig& tls = client->tls;
  NARTHEX_RETURN_IF_ERROR(ReadPem(cluster, "certificate-authority", directory,
                                  &tls.ca, &tls.ca_file));
  tls.insecure_skip_verify =
      Scalar(cluster, "insecure-skip-tls-verify") == "true";
  tls.server_name = Scalar(cluster, "tls-server-name");
  client->proxy.proxy_url = Scalar(cluster, "proxy-url");
  client->proxy.proxy_from_environment = client->proxy.proxy_url.empty();
  if (const std::string user_name = Scalar(context, "user");
      !user_name.empty()) {
    NARTHEX_ASSIGN_OR_RETURN(const yaml::Node* user,
                             Entry(root, "users", user_name, "user"));
    NARTHEX_RETURN_IF_ERROR(ReadUser(*user, directory, client.get()));
  }
  access.client = std::move(client);
  return access;
}

}  // namespace

absl::StatusOr<KubernetesAccess> InClusterAccess(const std::string& directory) {
  const std::string host = Environment("KUBERNETES_SERVICE_HOST");
  const std::string port = Environment("KUBERNETES_SERVICE_PORT");
  if (host.empty() || port.empty()) {
    return absl::FailedPreconditionError(
        "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and "
        "KUBERNETES_SERVICE_PORT must be defined");
  }
  const std::string token = directory + "/token";
  NARTHEX_RETURN_IF_ERROR(base::ReadFile(token));
  auto client = std::make_shared<http::ClientConfig>();
  client->authorization = http::Authorization{"Bearer", "", token};
  client->proxy.proxy_from_environment = true;
  client->tls.ca_file = directory + "/ca.crt";
  if (!base::Exists(client->tls.ca_file)) client->tls.ca_file.clear();
  const bool is_ipv6 = host.find(':') != std::string::npos;
  KubernetesAccess access;
  access.url = absl::StrCat("https://", is_ipv6 ? "[" : "", host,
                            is_ipv6 ? "]" : "", ":", port);
  access.client = std::move(client);
  if (const auto space = base::ReadFile(directory + "/namespace"); space.ok()) {
    access.own_namespace = std::string(absl::StripAsciiWhitespace(*space));
  }
  return access;
}

absl::StatusOr<KubernetesAccess> KubeconfigAccess(const std::string& path) {
  NARTHEX_ASSIGN_OR_RETURN(const yaml::Document document,
                           yaml::Document::Load(path));
  const std::string directory =
      std::filesystem::path(path).parent_path().string();
  auto access = ReadKubeconfig(document.root(), directory);
  if (!access.ok() && absl::IsUnimplemented(access.status())) {
    return base::Annotate(access.status(), path);
  }
  return access;
}

}  // namespace narthex::discovery
