#pragma once

#include <functional>
#include <string>

#include "libs/discovery/kubernetes_object.h"
#include "libs/discovery/target_group.h"

namespace narthex::discovery {

/// What is attached to targets beside what their own object says.
struct KubernetesMetadata {
  bool node = false;
  bool space = false;
  bool deployment = false;
  bool job = false;
  bool cronjob = false;
  friend bool operator==(const KubernetesMetadata&,
                         const KubernetesMetadata&) = default;
};

/// Finds another object by its key; null when it is not known.
using KubernetesLookup = std::function<const KubernetesObject*(
    KubernetesResource resource, const std::string& key)>;

/// The group of one object in the role of its resource, with Prometheus's
/// labels; without targets when it has none now.
TargetGroup MakeKubernetesGroup(KubernetesResource role,
                                const KubernetesObject& object,
                                const KubernetesMetadata& attach,
                                const KubernetesLookup& lookup);

/// The source of that group: "pod/default/web".
std::string KubernetesSource(KubernetesResource role, const std::string& key);

}  // namespace narthex::discovery
