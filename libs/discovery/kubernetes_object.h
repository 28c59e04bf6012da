#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/model/labels.h"

/// What discovery keeps of an object of the Kubernetes API.
namespace narthex::discovery {

/// What is listed and watched.
enum class KubernetesResource {
  kPod,
  kService,
  kEndpoints,
  kEndpointSlice,
  kIngress,
  kNode,
  kNamespace,
  kReplicaSet,
  kJob,
};

struct KubernetesObject {
  struct Port {
    std::string name;
    std::int64_t number = 0;
    std::string protocol;
  };
  struct Container {
    std::string name;
    std::string image;
    std::string id;
    bool is_init = false;
    std::vector<Port> ports;
  };
  /// A target as the object itself has it, and what stands behind it.
  struct Target {
    model::Labels labels;
    /// "namespace/name", empty when no pod does.
    std::string pod;
    std::string node;
    /// Nullopt for an endpoint without port.
    std::optional<std::int64_t> port;
    std::string protocol;
  };

  /// "namespace/name", or the name of what has no namespace.
  std::string key() const;

  std::string name;
  std::string space;
  /// What the object says about itself and about targets that it is attached
  /// to: __meta_kubernetes_<resource>_*.
  model::Labels labels;
  /// What else it says in the role of its own, as with namespace.
  model::Labels role_labels;
  /// Its controller; empty when it has none.
  std::string controller_kind;
  std::string controller_name;

  /// Of services, ingresses, nodes, endpoints and endpoint slices.
  std::vector<Target> targets;

  // Of pods.
  std::string ip;
  std::string node;
  std::vector<Container> containers;

  /// The service of endpoints and endpoint slices, "namespace/name".
  std::string service;
  /// Of an endpoint slice ("IPv4"), and of a service with two families the
  /// first of them: endpoints of the other are the same pods again.
  std::string ip_family;
};

/// What one line of a watch or an item of a list holds.
struct KubernetesEvent {
  enum class Type { kAdded, kModified, kDeleted, kBookmark, kError };
  Type type = Type::kError;
  KubernetesObject object;
  std::string resource_version;
  /// Of an error: its HTTP status and message.
  int code = 0;
  std::string message;
};

/// Reads `{"type": "ADDED", "object": {...}}`; nullopt when malformed.
std::optional<KubernetesEvent> ParseKubernetesEvent(KubernetesResource resource,
                                                    absl::string_view line);

struct KubernetesList {
  std::vector<KubernetesObject> items;
  std::string resource_version;
  /// Asks for the next page, empty at the last.
  std::string next;
};

/// Reads the answer to a list; nullopt when malformed.
std::optional<KubernetesList> ParseKubernetesList(KubernetesResource resource,
                                                  absl::string_view body);

}  // namespace narthex::discovery
