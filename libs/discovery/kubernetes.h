#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/discovery/kubernetes_access.h"
#include "libs/discovery/kubernetes_targets.h"
#include "libs/discovery/provider.h"
#include "libs/http/client_config.h"
#include "libs/yaml/decoder.h"
#include "libs/yaml/emitter.h"

namespace narthex::discovery {

/// Which objects of a resource to ask for.
struct KubernetesSelector {
  std::string role;
  std::string label;
  std::string field;
  friend bool operator==(const KubernetesSelector&,
                         const KubernetesSelector&) = default;
};

absl::Status Decode(const yaml::Node& node, KubernetesSelector* selector);

/// One entry of kubernetes_sd_configs.
struct KubernetesConfig {
  /// Empty: the cluster that we run in, unless there is a kubeconfig.
  std::string api_server;
  /// "node", "service", "pod", "endpoints", "endpointslice" or "ingress".
  std::string role;
  std::string kubeconfig_file;
  http::ClientConfig client;
  bool own_namespace = false;
  /// Empty, without own_namespace: all.
  std::vector<std::string> namespaces;
  std::vector<KubernetesSelector> selectors;
  KubernetesMetadata attach;

  friend bool operator==(const KubernetesConfig&,
                         const KubernetesConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, KubernetesConfig* config);
void Emit(const KubernetesConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, KubernetesConfig* config);
std::unique_ptr<Provider> MakeProvider(const KubernetesConfig& config,
                                       const ProviderContext& context);

/// The resource whose objects become groups.
KubernetesResource KubernetesRole(const std::string& role);

}  // namespace narthex::discovery
