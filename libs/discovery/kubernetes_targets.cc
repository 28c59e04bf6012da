#include "libs/discovery/kubernetes_targets.h"

#include <map>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/discovery/meta_labels.h"

namespace narthex::discovery {
namespace {

constexpr char kPrefix[] = "__meta_kubernetes_";

class GroupBuilder {
 public:
  GroupBuilder(const KubernetesMetadata& attach, const KubernetesLookup& lookup)
      : attach_(attach), lookup_(lookup) {}

  TargetGroup Pod(const KubernetesObject& pod);
  /// Services, ingresses and nodes: all targets are their own.
  TargetGroup Plain(const KubernetesObject& object, bool in_namespace);
  TargetGroup Endpoints(KubernetesResource role,
                        const KubernetesObject& object);

 private:
  const KubernetesObject* Find(KubernetesResource resource,
                               const std::string& key) const {
    return key.empty() ? nullptr : lookup_(resource, key);
  }
  void AddNamespace(const std::string& space, MetaLabels* labels) const;
  void AddNode(const std::string& node, MetaLabels* labels) const;
  /// The pod's labels with those of what controls its controller.
  void AddPod(const KubernetesObject& pod, MetaLabels* labels) const;
  void AddPodPortsBesides(const KubernetesObject& pod,
                          const std::set<std::int64_t>& numbers,
                          TargetGroup* group) const;

  const KubernetesMetadata& attach_;
  const KubernetesLookup& lookup_;
};

void AddContainer(const KubernetesObject::Container& container,
                  MetaLabels* labels) {
  labels->Add("pod_container_name", container.name)
      .Add("pod_container_image", container.image)
      .AddFlag("pod_container_init", container.is_init);
}

void AddContainerPort(const KubernetesObject::Port& port,
                      const std::string& protocol, MetaLabels* labels) {
  labels->Add("pod_container_port_name", port.name)
      .Add("pod_container_port_number", port.number)
      .Add("pod_container_port_protocol", protocol);
}

void GroupBuilder::AddNamespace(const std::string& space,
                                MetaLabels* labels) const {
  if (!attach_.space) return;
  const KubernetesObject* found = Find(KubernetesResource::kNamespace, space);
  if (found != nullptr) labels->Merge(found->labels);
}

void GroupBuilder::AddNode(const std::string& node, MetaLabels* labels) const {
  if (!attach_.node) return;
  const KubernetesObject* found = Find(KubernetesResource::kNode, node);
  if (found != nullptr) labels->Merge(found->labels);
}

void GroupBuilder::AddPod(const KubernetesObject& pod,
                          MetaLabels* labels) const {
  labels->Merge(pod.labels);
  const std::string& owner = pod.controller_name;
  const std::string key = absl::StrCat(pod.space, "/", owner);
  if (pod.controller_kind == "ReplicaSet" && attach_.deployment) {
    const KubernetesObject* set = Find(KubernetesResource::kReplicaSet, key);
    if (set != nullptr && set->controller_kind == "Deployment") {
      labels->Add("pod_deployment_name", set->controller_name);
    }
  }
  if (pod.controller_kind != "Job") return;
  if (attach_.job) labels->Add("pod_job_name", owner);
  if (!attach_.cronjob) return;
  const KubernetesObject* job = Find(KubernetesResource::kJob, key);
  if (job != nullptr && job->controller_kind == "CronJob") {
    labels->Add("pod_cronjob_name", job->controller_name);
  }
}

TargetGroup GroupBuilder::Pod(const KubernetesObject& pod) {
  TargetGroup group;
  // Until it has its address and its node is known.
  if (pod.ip.empty()) return group;
  if (attach_.node && Find(KubernetesResource::kNode, pod.node) == nullptr) {
    return group;
  }
  MetaLabels labels(kPrefix);
  AddPod(pod, &labels);
  labels.Merge(pod.role_labels);
  AddNode(pod.node, &labels);
  AddNamespace(pod.space, &labels);
  group.labels = labels.Build();
  for (const auto& container : pod.containers) {
    MetaLabels common(kPrefix);
    AddContainer(container, &common);
    common.Add("pod_container_id", container.id);
    if (container.ports.empty()) {
      group.targets.push_back(MetaLabels(common).Address(pod.ip).Build());
    }
    for (const auto& port : container.ports) {
      MetaLabels target(common);
      target.Address(JoinHostPort(pod.ip, port.number));
      AddContainerPort(port, port.protocol, &target);
      group.targets.push_back(target.Build());
    }
  }
  return group;
}

TargetGroup GroupBuilder::Plain(const KubernetesObject& object,
                                bool in_namespace) {
  TargetGroup group;
  MetaLabels labels(kPrefix);
  labels.Merge(object.labels).Merge(object.role_labels);
  if (in_namespace) AddNamespace(object.space, &labels);
  group.labels = labels.Build();
  for (const auto& target : object.targets) {
    group.targets.push_back(target.labels);
  }
  return group;
}

void GroupBuilder::AddPodPortsBesides(const KubernetesObject& pod,
                                      const std::set<std::int64_t>& numbers,
                                      TargetGroup* group) const {
  if (pod.ip.empty()) return;
  for (const auto& container : pod.containers) {
    for (const auto& port : container.ports) {
      if (numbers.contains(port.number)) continue;
      MetaLabels target(kPrefix);
      target.Address(JoinHostPort(pod.ip, port.number));
      AddContainer(container, &target);
      AddContainerPort(port, port.protocol, &target);
      AddPod(pod, &target);
      group->targets.push_back(target.Build());
    }
  }
}

TargetGroup GroupBuilder::Endpoints(KubernetesResource role,
                                    const KubernetesObject& object) {
  const bool is_slice = role == KubernetesResource::kEndpointSlice;
  TargetGroup group;
  MetaLabels labels(kPrefix);
  labels.Merge(object.role_labels).Merge(object.labels);
  const KubernetesObject* service =
      Find(KubernetesResource::kService, object.service);
  if (service != nullptr) labels.Merge(service->labels);
  AddNamespace(object.space, &labels);
  group.labels = labels.Build();
  if (is_slice && service != nullptr && !service->ip_family.empty() &&
      service->ip_family != object.ip_family) {
    return group;
  }
  // In the order in which they appear, with the ports that were seen.
  std::vector<const KubernetesObject*> pods;
  std::map<const KubernetesObject*, std::set<std::int64_t>> seen;
  for (const auto& from : object.targets) {
    MetaLabels target(kPrefix);
    target.Merge(from.labels);
    AddNode(from.node, &target);
    const KubernetesObject* pod = Find(KubernetesResource::kPod, from.pod);
    if (pod != nullptr) {
      AddPod(*pod, &target);
      auto [it, is_new] = seen.try_emplace(pod);
      if (is_new) pods.push_back(pod);
      if (from.port.has_value()) it->second.insert(*from.port);
      for (const auto& container : pod->containers) {
        for (const auto& port : container.ports) {
          if (from.port != port.number) continue;
          AddContainer(container, &target);
          AddContainerPort(port, is_slice ? port.protocol : from.protocol,
                           &target);
          break;
        }
      }
    }
    group.targets.push_back(target.Build());
  }
  for (const KubernetesObject* pod : pods) {
    AddPodPortsBesides(*pod, seen[pod], &group);
  }
  return group;
}

}  // namespace

TargetGroup MakeKubernetesGroup(KubernetesResource role,
                                const KubernetesObject& object,
                                const KubernetesMetadata& attach,
                                const KubernetesLookup& lookup) {
  GroupBuilder builder(attach, lookup);
  TargetGroup group;
  switch (role) {
    case KubernetesResource::kPod:
      group = builder.Pod(object);
      break;
    case KubernetesResource::kEndpoints:
    case KubernetesResource::kEndpointSlice:
      group = builder.Endpoints(role, object);
      break;
    case KubernetesResource::kNode:
      group = builder.Plain(object, /*in_namespace=*/false);
      break;
    default:
      group = builder.Plain(object, /*in_namespace=*/true);
      break;
  }
  group.source = KubernetesSource(role, object.key());
  return group;
}

std::string KubernetesSource(KubernetesResource role, const std::string& key) {
  switch (role) {
    case KubernetesResource::kPod:
      return absl::StrCat("pod/", key);
    case KubernetesResource::kService:
      return absl::StrCat("svc/", key);
    case KubernetesResource::kEndpoints:
      return absl::StrCat("endpoints/", key);
    case KubernetesResource::kEndpointSlice:
      return absl::StrCat("endpointslice/", key);
    case KubernetesResource::kIngress:
      return absl::StrCat("ingress/", key);
    default:
      return absl::StrCat("node/", key);
  }
}

}  // namespace narthex::discovery
