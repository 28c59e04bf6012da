#include "libs/discovery/kubernetes_object.h"

#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "libs/discovery/json.h"
#include "libs/discovery/meta_labels.h"

namespace narthex::discovery {
namespace {

constexpr char kPrefix[] = "__meta_kubernetes_";

std::string Key(const std::string& space, const std::string& name) {
  return space.empty() ? name : absl::StrCat(space, "/", name);
}

/// Name, labels and annotations: of every resource.
void AddMetadata(const Json& metadata, const std::string& resource,
                 MetaLabels* labels) {
  ForEachText(Child(metadata, "labels"),
              [&](const std::string& key, const std::string& value) {
                labels->AddKey(resource + "_label_", key, value);
                labels->AddKey(resource + "_labelpresent_", key, "true");
              });
  ForEachText(Child(metadata, "annotations"),
              [&](const std::string& key, const std::string& value) {
                labels->AddKey(resource + "_annotation_", key, value);
                labels->AddKey(resource + "_annotationpresent_", key, "true");
              });
}

MetaLabels Named(const Json& metadata, const std::string& resource) {
  MetaLabels labels(kPrefix);
  labels.Add(resource + "_name", Text(metadata, "name"));
  AddMetadata(metadata, resource, &labels);
  return labels;
}

model::Labels NamespaceLabel(const KubernetesObject& object) {
  return MetaLabels(kPrefix).Add("namespace", object.space).Build();
}

void ReadController(const Json& metadata, KubernetesObject* object) {
  for (const Json& owner : Child(metadata, "ownerReferences")) {
    if (!Flag(owner, "controller")) continue;
    object->controller_kind = Text(owner, "kind");
    object->controller_name = Text(owner, "name");
    return;
  }
}

std::string ConditionStatus(const Json& status, absl::string_view type) {
  for (const Json& condition : Child(status, "conditions")) {
    if (Text(condition, "type") == type) {
      return absl::AsciiStrToLower(Text(condition, "status"));
    }
  }
  return "unknown";
}

void ReadContainers(const Json& list, const Json& statuses, bool is_init,
                    KubernetesObject* pod) {
  for (const Json& item : list) {
    KubernetesObject::Container container;
    container.name = Text(item, "name");
    container.image = Text(item, "image");
    container.is_init = is_init;
    for (const Json& status : statuses) {
      if (Text(status, "name") != container.name) continue;
      container.id = Text(status, "containerID");
      break;
    }
    for (const Json& port : Child(item, "ports")) {
      container.ports.push_back({Text(port, "name"),
                                 Number(port, "containerPort"),
                                 Text(port, "protocol")});
    }
    pod->containers.push_back(std::move(container));
  }
}

void ReadPod(const Json& json, const Json& metadata, KubernetesObject* pod) {
  const Json& spec = Child(json, "spec");
  const Json& status = Child(json, "status");
  pod->ip = Text(status, "podIP");
  pod->node = Text(spec, "nodeName");
  pod->labels = Named(metadata, "pod")
                    .Add("pod_ip", pod->ip)
                    .Add("pod_ready", ConditionStatus(status, "Ready"))
                    .Add("pod_phase", Text(status, "phase"))
                    .Add("pod_node_name", pod->node)
                    .Add("pod_host_ip", Text(status, "hostIP"))
                    .Add("pod_uid", Text(metadata, "uid"))
                    .Add("pod_controller_kind", pod->controller_kind)
                    .Add("pod_controller_name", pod->controller_name)
                    .Build();
  pod->role_labels = NamespaceLabel(*pod);
  ReadContainers(Child(spec, "containers"), Child(status, "containerStatuses"),
                 false, pod);
  ReadContainers(Child(spec, "initContainers"),
                 Child(status, "initContainerStatuses"), true, pod);
}

std::string LoadBalancerIps(const Json& spec, const Json& status) {
  std::vector<std::string> ips;
  for (const Json& ingress : Child(Child(status, "loadBalancer"), "ingress")) {
    std::string ip = Text(ingress, "ip");
    if (!ip.empty()) ips.push_back(std::move(ip));
  }
  return ips.empty() ? Text(spec, "loadBalancerIP") : absl::StrJoin(ips, ",");
}

void ReadService(const Json& json, const Json& metadata,
                 KubernetesObject* service) {
  const Json& spec = Child(json, "spec");
  const std::string type = Text(spec, "type");
  service->labels =
      Named(metadata, "service").Merge(NamespaceLabel(*service)).Build();
  MetaLabels common(kPrefix);
  common.Add("service_type", type);
  if (type == "ExternalName") {
    common.Add("service_external_name", Text(spec, "externalName"));
  } else {
    common.Add("service_cluster_ip", Text(spec, "clusterIP"));
  }
  if (type == "LoadBalancer") {
    common.Add("service_loadbalancer_ip",
               LoadBalancerIps(spec, Child(json, "status")));
  }
  const std::string host =
      absl::StrCat(service->name, ".", service->space, ".svc");
  for (const Json& port : Child(spec, "ports")) {
    KubernetesObject::Target target;
    target.labels = MetaLabels(common)
                        .Address(JoinHostPort(host, Number(port, "port")))
                        .Add("service_port_name", Text(port, "name"))
                        .Add("service_port_number", Number(port, "port"))
                        .Add("service_port_protocol", Text(port, "protocol"))
                        .Build();
    service->targets.push_back(std::move(target));
  }
  const std::string policy = Text(spec, "ipFamilyPolicy");
  const auto families = Texts(spec, "ipFamilies");
  if ((policy == "PreferDualStack" || policy == "RequireDualStack") &&
      !families.empty()) {
    service->ip_family = families[0];
  }
}

/// The first address of each type.
std::map<std::string, std::string> NodeAddresses(const Json& status) {
  std::map<std::string, std::string> addresses;
  for (const Json& address : Child(status, "addresses")) {
    addresses.emplace(Text(address, "type"), Text(address, "address"));
  }
  return addresses;
}

void ReadNode(const Json& json, const Json& metadata, KubernetesObject* node) {
  const Json& status = Child(json, "status");
  node->labels = Named(metadata, "node").Build();
  MetaLabels own(kPrefix);
  own.Add("node_provider_id", Text(Child(json, "spec"), "providerID"));
  for (const Json& condition : Child(status, "conditions")) {
    own.AddKey("node_condition_",
               absl::AsciiStrToLower(Text(condition, "type")),
               absl::AsciiStrToLower(Text(condition, "status")));
  }
  node->role_labels = own.Build();
  const auto addresses = NodeAddresses(status);
  const std::int64_t port = Number(
      Child(Child(status, "daemonEndpoints"), "kubeletEndpoint"), "Port");
  for (const char* type : {"InternalIP", "InternalDNS", "ExternalIP",
                           "ExternalDNS", "LegacyHostIP", "Hostname"}) {
    const auto it = addresses.find(type);
    if (it == addresses.end()) continue;
    MetaLabels labels(kPrefix);
    labels.Address(JoinHostPort(it->second, port))
        .Set(model::kInstance, node->name);
    for (const auto& [other_type, address] : addresses) {
      labels.AddKey("node_address_", other_type, address);
    }
    KubernetesObject::Target target;
    target.labels = labels.Build();
    node->targets.push_back(std::move(target));
    return;
  }
}

bool HostMatches(absl::string_view pattern, absl::string_view host) {
  if (pattern == host) return true;
  if (!absl::StartsWith(pattern, "*.")) return false;
  const std::size_t dot = host.find('.');
  return dot != absl::string_view::npos &&
         host.substr(dot) == pattern.substr(1);
}

void AddIngressRule(const Json& rule, const Json& tls_list,
                    KubernetesObject* ingress) {
  const std::string host = Text(rule, "host");
  std::string scheme = "http";
  for (const Json& tls : tls_list) {
    for (const std::string& pattern : Texts(tls, "hosts")) {
      if (HostMatches(pattern, host)) scheme = "https";
    }
  }
  std::vector<std::string> paths;
  for (const Json& path : Child(Child(rule, "http"), "paths")) {
    const std::string text = Text(path, "path");
    paths.push_back(text.empty() ? "/" : text);
  }
  if (!Child(rule, "http").is_map()) paths.emplace_back("/");
  for (const std::string& path : paths) {
    KubernetesObject::Target target;
    target.labels = MetaLabels(kPrefix)
                        .Address(host)
                        .Add("ingress_scheme", scheme)
                        .Add("ingress_host", host)
                        .Add("ingress_path", path)
                        .Build();
    ingress->targets.push_back(std::move(target));
  }
}

void ReadIngress(const Json& json, const Json& metadata,
                 KubernetesObject* ingress) {
  const Json& spec = Child(json, "spec");
  ingress->labels =
      Named(metadata, "ingress")
          .Add("ingress_class_name", Text(spec, "ingressClassName"))
          .Merge(NamespaceLabel(*ingress))
          .Build();
  for (const Json& rule : Child(spec, "rules")) {
    AddIngressRule(rule, Child(spec, "tls"), ingress);
  }
}

/// Whose pod or node an endpoint is.
void ReadReference(const Json& reference, const std::string& node_name,
                   const char* kind_label, const char* name_label,
                   MetaLabels* labels, KubernetesObject::Target* target) {
  target->node = node_name;
  if (!reference.is_map()) return;
  const std::string kind = Text(reference, "kind");
  const std::string name = Text(reference, "name");
  labels->Add(kind_label, kind).Add(name_label, name);
  if (kind == "Pod") target->pod = Key(Text(reference, "namespace"), name);
}

void AddEndpoint(const Json& address, const Json& port, bool ready,
                 KubernetesObject* endpoints) {
  KubernetesObject::Target target;
  target.port = Number(port, "port");
  target.protocol = Text(port, "protocol");
  MetaLabels labels(kPrefix);
  labels.Address(JoinHostPort(Text(address, "ip"), *target.port))
      .Add("endpoint_port_name", Text(port, "name"))
      .Add("endpoint_port_protocol", target.protocol)
      .AddFlag("endpoint_ready", ready)
      .Add("endpoint_node_name", Text(address, "nodeName"))
      .Add("endpoint_hostname", Text(address, "hostname"));
  const Json& reference = Child(address, "targetRef");
  ReadReference(reference, Text(address, "nodeName"),
                "endpoint_address_target_kind", "endpoint_address_target_name",
                &labels, &target);
  if (target.node.empty() && Text(reference, "kind") == "Node") {
    target.node = Text(reference, "name");
  }
  target.labels = labels.Build();
  endpoints->targets.push_back(std::move(target));
}

void ReadEndpoints(const Json& json, const Json& metadata,
                   KubernetesObject* endpoints) {
  endpoints->labels = Named(metadata, "endpoints").Build();
  endpoints->role_labels = NamespaceLabel(*endpoints);
  endpoints->service = endpoints->key();
  for (const Json& subset : Child(json, "subsets")) {
    for (const Json& port : Child(subset, "ports")) {
      for (const Json& address : Child(subset, "addresses")) {
        AddEndpoint(address, port, true, endpoints);
      }
      for (const Json& address : Child(subset, "notReadyAddresses")) {
        AddEndpoint(address, port, false, endpoints);
      }
    }
  }
}

/// What all addresses of an endpoint of a slice share, for one port.
MetaLabels SliceLabels(const Json& endpoint, const Json& port) {
  MetaLabels labels(kPrefix);
  labels.Add("endpointslice_port_name", Text(port, "name"))
      .Add("endpointslice_port_protocol", Text(port, "protocol"))
      .Add("endpointslice_port_app_protocol", Text(port, "appProtocol"))
      .Add("endpointslice_endpoint_hostname", Text(endpoint, "hostname"))
      .Add("endpointslice_endpoint_node_name", Text(endpoint, "nodeName"))
      .Add("endpointslice_endpoint_zone", Text(endpoint, "zone"));
  if (Child(port, "port").is_number()) {
    labels.Add("endpointslice_port", Number(port, "port"));
  }
  const Json& conditions = Child(endpoint, "conditions");
  for (const char* name : {"ready", "serving", "terminating"}) {
    if (!Child(conditions, name).is_boolean()) continue;
    labels.AddFlag(absl::StrCat("endpointslice_endpoint_conditions_", name),
                   Flag(conditions, name));
  }
  ForEachText(Child(endpoint, "deprecatedTopology"),
              [&](const std::string& key, const std::string& value) {
                labels.AddKey("endpointslice_endpoint_topology_", key, value);
                labels.AddKey("endpointslice_endpoint_topology_present_", key,
                              "true");
              });
  return labels;
}

void AddSliceEndpoint(const Json& endpoint, const Json& port,
                      KubernetesObject* slice) {
  for (const std::string& address : Texts(endpoint, "addresses")) {
    KubernetesObject::Target target;
    target.protocol = Text(port, "protocol");
    if (Child(port, "port").is_number()) target.port = Number(port, "port");
    MetaLabels labels = SliceLabels(endpoint, port);
    labels.Address(target.port.has_value() ? JoinHostPort(address, *target.port)
                                           : address);
    const Json& reference = Child(endpoint, "targetRef");
    ReadReference(reference, Text(endpoint, "nodeName"),
                  "endpointslice_address_target_kind",
                  "endpointslice_address_target_name", &labels, &target);
    if (Text(reference, "kind") == "Node") {
      target.node = Text(reference, "name");
    }
    target.labels = labels.Build();
    slice->targets.push_back(std::move(target));
  }
}

void ReadEndpointSlice(const Json& json, const Json& metadata,
                       KubernetesObject* slice) {
  slice->ip_family = Text(json, "addressType");
  slice->labels = Named(metadata, "endpointslice").Build();
  slice->role_labels = MetaLabels(kPrefix)
                           .Add("namespace", slice->space)
                           .Add("endpointslice_address_type", slice->ip_family)
                           .Build();
  const std::string service =
      Text(Child(metadata, "labels"), "kubernetes.io/service-name");
  if (!service.empty()) slice->service = Key(slice->space, service);
  for (const Json& endpoint : Child(json, "endpoints")) {
    for (const Json& port : Child(json, "ports")) {
      AddSliceEndpoint(endpoint, port, slice);
    }
  }
}

void ReadNamespace(const Json& metadata, KubernetesObject* space) {
  MetaLabels labels(kPrefix);
  AddMetadata(metadata, "namespace", &labels);
  space->labels = labels.Build();
}

KubernetesObject ReadObject(KubernetesResource resource, const Json& json) {
  KubernetesObject object;
  const Json& metadata = Child(json, "metadata");
  object.name = Text(metadata, "name");
  object.space = Text(metadata, "namespace");
  ReadController(metadata, &object);
  switch (resource) {
    case KubernetesResource::kPod:
      ReadPod(json, metadata, &object);
      break;
    case KubernetesResource::kService:
      ReadService(json, metadata, &object);
      break;
    case KubernetesResource::kEndpoints:
      ReadEndpoints(json, metadata, &object);
      break;
    case KubernetesResource::kEndpointSlice:
      ReadEndpointSlice(json, metadata, &object);
      break;
    case KubernetesResource::kIngress:
      ReadIngress(json, metadata, &object);
      break;
    case KubernetesResource::kNode:
      ReadNode(json, metadata, &object);
      break;
    case KubernetesResource::kNamespace:
      ReadNamespace(metadata, &object);
      break;
    case KubernetesResource::kReplicaSet:
    case KubernetesResource::kJob:
      break;  // Their controllers are all that matters.
  }
  return object;
}

}  // namespace

std::string KubernetesObject::key() const { return Key(space, name); }

std::optional<KubernetesEvent> ParseKubernetesEvent(KubernetesResource resource,
                                                    absl::string_view line) {
  const auto json = ParseJson(line);
  if (!json.ok()) return std::nullopt;
  KubernetesEvent event;
  if (Text(*json, "kind") == "Status") {
    // No stream at all, but why there is none.
    event.code = static_cast<int>(Number(*json, "code"));
    event.message = Text(*json, "message");
    return event;
  }
  const Json& object = Child(*json, "object");
  const std::string type = Text(*json, "type");
  event.resource_version = Text(Child(object, "metadata"), "resourceVersion");
  if (type == "ERROR") {
    event.code = static_cast<int>(Number(object, "code"));
    event.message = Text(object, "message");
    return event;
  }
  if (type == "BOOKMARK") {
    event.type = KubernetesEvent::Type::kBookmark;
    return event;
  }
  if (type == "ADDED") {
    event.type = KubernetesEvent::Type::kAdded;
  } else if (type == "MODIFIED") {
    event.type = KubernetesEvent::Type::kModified;
  } else if (type == "DELETED") {
    event.type = KubernetesEvent::Type::kDeleted;
  } else {
    return std::nullopt;
  }
  event.object = ReadObject(resource, object);
  return event;
}

std::optional<KubernetesList> ParseKubernetesList(KubernetesResource resource,
                                                  absl::string_view body) {
  const auto json = ParseJson(body);
  if (!json.ok() || !json->is_map()) return std::nullopt;
  const Json& metadata = Child(*json, "metadata");
  KubernetesList list;
  list.resource_version = Text(metadata, "resourceVersion");
  list.next = Text(metadata, "continue");
  for (const Json& item : Child(*json, "items")) {
    list.items.push_back(ReadObject(resource, item));
  }
  return list;
}

}  // namespace narthex::discovery
