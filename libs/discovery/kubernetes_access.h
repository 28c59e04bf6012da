#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/http/client_config.h"

namespace narthex::discovery {

/// Where the API server is and how to ask it.
struct KubernetesAccess {
  /// Without a slash at its end.
  std::string url;
  std::shared_ptr<const http::ClientConfig> client;
  /// The namespace of our own pod, when it runs in one.
  std::string own_namespace;
};

inline constexpr char kServiceAccountDirectory[] =
    "/var/run/secrets/kubernetes.io/serviceaccount";

// Both go through the proxy of the environment, if there is one, as
// Kubernetes's own clients do.

/// What a pod finds in its environment and in `directory`: token and authority
/// are files that are read at use. kFailedPrecondition outside of a cluster.
absl::StatusOr<KubernetesAccess> InClusterAccess(const std::string& directory);

/// What the current context of a kubeconfig says. Relative paths begin at its
/// directory. kInvalidArgument, naming the file, when it is malformed;
/// kUnimplemented for users that are known by a program to run.
absl::StatusOr<KubernetesAccess> KubeconfigAccess(const std::string& path);

}  // namespace narthex::discovery
