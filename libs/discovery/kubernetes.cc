#include "libs/discovery/kubernetes.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/file.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/discovery/kubernetes_provider.h"
#include "libs/discovery/kubernetes_selector.h"
#include "libs/http/url.h"
#include "libs/yaml/optional_fields.h"

namespace narthex::discovery {
namespace {

struct Role {
  const char* name;
  KubernetesResource resource;
  /// Roles that selectors may name.
  std::vector<std::string> selectors;
};

const std::vector<Role>& Roles() {
  static const std::vector<Role> roles{
      {"node", KubernetesResource::kNode, {"node"}},
      {"pod", KubernetesResource::kPod, {"pod", "node"}},
      {"service", KubernetesResource::kService, {"service"}},
      {"endpoints",
       KubernetesResource::kEndpoints,
       {"pod", "service", "endpoints"}},
      {"endpointslice",
       KubernetesResource::kEndpointSlice,
       {"pod", "service", "endpointslice"}},
      {"ingress", KubernetesResource::kIngress, {"ingress"}},
  };
  return roles;
}

const Role* FindRole(const std::string& name) {
  for (const Role& role : Roles()) {
    if (role.name == name) return &role;
  }
  return nullptr;
}

void DecodeRole(yaml::Decoder& d, std::string* role) {
  if (!d.Field("role", role) || FindRole(*role) != nullptr) return;
  d.FailField("role",
              absl::StrCat("unknown Kubernetes SD role ", base::Quote(*role)));
}

void DecodeNamespaces(const yaml::Node& node, yaml::Decoder& parent,
                      KubernetesConfig* config) {
  yaml::Decoder d(node);
  d.Field("own_namespace", &config->own_namespace);
  d.Field("names", &config->namespaces);
  parent.Fail(d.Done());
}

void DecodeAttach(const yaml::Node& node, yaml::Decoder& parent,
                  KubernetesMetadata* attach) {
  yaml::Decoder d(node);
  d.Field("node", &attach->node);
  d.Field("namespace", &attach->space);
  d.Field("deployment", &attach->deployment);
  d.Field("job", &attach->job);
  d.Field("cronjob", &attach->cronjob);
  parent.Fail(d.Done());
}

void CheckAccess(const KubernetesConfig& config, yaml::Decoder& d) {
  const bool has_server = !config.api_server.empty();
  const bool has_file = !config.kubeconfig_file.empty();
  const bool own_client = config.client != http::ClientConfig();
  if (has_server && has_file) {
    d.Fail("cannot use 'kubeconfig_file' and 'api_server' simultaneously");
  }
  if (has_file && own_client) {
    d.Fail(
        "cannot use a custom HTTP client configuration together with "
        "'kubeconfig_file'");
  }
  if (!has_server && own_client) {
    d.Fail(
        "to use custom HTTP client configuration please provide the "
        "'api_server' URL explicitly");
  }
  if (config.own_namespace && (has_server || has_file)) {
    d.Fail(absl::StrCat("cannot use '",
                        has_server ? "api_server" : "kubeconfig_file",
                        "' and 'namespaces.own_namespace' simultaneously"));
  }
}

void CheckSelectors(const KubernetesConfig& config, yaml::Decoder& d) {
  const Role* role = FindRole(config.role);
  if (role == nullptr) return;
  std::set<std::string> seen;
  for (const auto& selector : config.selectors) {
    if (!seen.insert(selector.role).second) {
      d.Fail(absl::StrCat("duplicated selector role: ", selector.role));
    }
    if (std::find(role->selectors.begin(), role->selectors.end(),
                  selector.role) == role->selectors.end()) {
      d.Fail(absl::StrCat(config.role, " role supports only ",
                          absl::StrJoin(role->selectors, ", "), " selectors"));
    }
    for (const absl::Status& status : {CheckFieldSelector(selector.field),
                                       CheckLabelSelector(selector.label)}) {
      if (!status.ok()) d.Fail(status.message());
    }
  }
}

}  // namespace

KubernetesResource KubernetesRole(const std::string& role) {
  const Role* found = FindRole(role);
  return found == nullptr ? KubernetesResource::kPod : found->resource;
}

absl::Status Decode(const yaml::Node& node, KubernetesSelector* selector) {
  yaml::Decoder d(node);
  DecodeRole(d, &selector->role);
  d.Field("label", &selector->label);
  d.Field("field", &selector->field);
  return d.Done();
}

absl::Status Decode(const yaml::Node& node, KubernetesConfig* config) {
  yaml::Decoder d(node);
  d.Field("api_server", &config->api_server);
  DecodeRole(d, &config->role);
  d.Field("kubeconfig_file", &config->kubeconfig_file);
  http::DecodeClientConfig(d, &config->client);
  if (const yaml::Node* map = d.Take("namespaces"); map != nullptr) {
    DecodeNamespaces(*map, d, config);
  }
  d.Field("selectors", &config->selectors);
  if (const yaml::Node* map = d.Take("attach_metadata"); map != nullptr) {
    DecodeAttach(*map, d, &config->attach);
  }
  if (config->role.empty()) {
    d.Fail(
        "role missing (one of: pod, service, endpoints, endpointslice, node, "
        "ingress)");
  }
  CheckAccess(*config, d);
  CheckSelectors(*config, d);
  return d.Done();
}

void Emit(const KubernetesConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  yaml::EmitText("api_server", http::RedactUrl(config.api_server), out);
  out->Field("role", config.role);
  out->Field("kubeconfig_file", config.kubeconfig_file);
  http::EmitClientConfig(config.client, out);
  if (config.own_namespace || !config.namespaces.empty()) {
    out->Key("namespaces").BeginMap();
    out->Field("own_namespace", config.own_namespace);
    out->Field("names", config.namespaces);
    out->EndMap();
  }
  if (!config.selectors.empty()) {
    out->Key("selectors").BeginSequence();
    for (const auto& selector : config.selectors) {
      out->BeginMap();
      yaml::EmitText("role", selector.role, out);
      yaml::EmitText("label", selector.label, out);
      yaml::EmitText("field", selector.field, out);
      out->EndMap();
    }
    out->EndSequence();
  }
  if (config.attach != KubernetesMetadata()) {
    out->Key("attach_metadata").BeginMap();
    out->Field("node", config.attach.node);
    out->Field("namespace", config.attach.space);
    out->Field("deployment", config.attach.deployment);
    out->Field("job", config.attach.job);
    out->Field("cronjob", config.attach.cronjob);
    out->EndMap();
  }
  out->EndMap();
}

void SetDirectory(const std::string& directory, KubernetesConfig* config) {
  http::SetDirectory(directory, &config->client);
  base::SetDirectory(directory, &config->kubeconfig_file);
}

std::unique_ptr<Provider> MakeProvider(const KubernetesConfig& config,
                                       const ProviderContext& context) {
  return std::make_unique<KubernetesProvider>(config, context,
                                              KubernetesProvider::Options());
}

}  // namespace narthex::discovery
