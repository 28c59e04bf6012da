#include "libs/discovery/kubernetes_targets.h"

#include "libs/discovery/kubernetes_run.h"

namespace narthex::discovery {
namespace {

constexpr char kPod[] = R"({
  "metadata": {"namespace": "ns", "name": "p", "uid": "u1",
               "labels": {"app.x/y": "web", "empty": ""},
               "annotations": {"a-b": "c"},
               "ownerReferences": [
                 {"kind": "Other", "name": "o"},
                 {"kind": "ReplicaSet", "name": "rs", "controller": true}]},
  "spec": {"nodeName": "n1",
           "containers": [
             {"name": "c1", "image": "i1", "ports": [
               {"name": "http", "containerPort": 8080, "protocol": "TCP"},
               {"containerPort": 9090, "protocol": "TCP"}]},
             {"name": "c2", "image": "i2"}],
           "initContainers": [{"name": "in", "image": "i3"}]},
  "status": {"podIP": "10.0.0.1", "hostIP": "10.1.0.1", "phase": "Running",
             "conditions": [{"type": "Ready", "status": "True"}],
             "containerStatuses": [{"name": "c1", "containerID": "d://1"}],
             "initContainerStatuses": [{"name": "in", "containerID": "d://3"}]}
})";
constexpr char kPodLabels[] = R"(
  m_pod_name=p
  m_pod_uid=u1
  m_pod_ip=10.0.0.1
  m_pod_host_ip=10.1.0.1
  m_pod_node_name=n1
  m_pod_phase=Running
  m_pod_ready=true
  m_pod_controller_kind=ReplicaSet
  m_pod_controller_name=rs
  m_pod_label_app_x_y=web
  m_pod_labelpresent_app_x_y=true
  m_pod_labelpresent_empty=true
  m_pod_annotation_a_b=c
  m_pod_annotationpresent_a_b=true)";
constexpr char kNodeMeta[] = R"(
  m_node_name=n1
  m_node_label_zone=z
  m_node_labelpresent_zone=true)";
constexpr char kService[] = R"({
  "metadata": {"namespace": "ns", "name": "s", "labels": {"l": "v"}},
  "spec": {"type": "LoadBalancer", "clusterIP": "10.2.0.1",
           "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]},
  "status": {"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}, {},
                                          {"ip": "2.2.2.2"}]}}})";
constexpr char kServiceMeta[] = R"(
  m_service_name=s
  m_service_label_l=v
  m_service_labelpresent_l=true)";

TEST_CASE("a pod has a target for each port, or for its address") {
  FakeKubernetes api;
  api.Put("pods", kPod);
  api.Put("pods", SmallPod("waiting", ""));
  const auto run = Run(api, "role: pod");
  const std::string common = absl::StrCat(kPodLabels, "\nm_namespace=ns\n");
  CHECK(run->WaitFor({Labels(common + R"(
      __address__=10.0.0.1:8080
      m_pod_container_name=c1
      m_pod_container_image=i1
      m_pod_container_id=d://1
      m_pod_container_init=false
      m_pod_container_port_name=http
      m_pod_container_port_number=8080
      m_pod_container_port_protocol=TCP)"),
                      Labels(common + R"(
      __address__=10.0.0.1:9090
      m_pod_container_name=c1
      m_pod_container_image=i1
      m_pod_container_id=d://1
      m_pod_container_init=false
      m_pod_container_port_number=9090
      m_pod_container_port_protocol=TCP)"),
                      Labels(common + R"(
      __address__=10.0.0.1
      m_pod_container_name=c2
      m_pod_container_image=i2
      m_pod_container_init=false)"),
                      Labels(common + R"(
      __address__=10.0.0.1
      m_pod_container_name=in
      m_pod_container_image=i3
      m_pod_container_id=d://3
      m_pod_container_init=true)")}));
  CHECK(run->sources() == std::set<std::string>{"pod/ns/p"});
}

TEST_CASE("nodes, services and ingresses become targets") {
  FakeKubernetes api;
  SECTION("a node at its kubelet's port") {
    api.Put("nodes", kNode);
    const auto run = Run(api, "role: node");
    CHECK(run->WaitFor(Labels(absl::StrCat(kNodeMeta, R"(
        __address__=10.1.0.1:10250
        instance=n1
        m_node_provider_id=p://1
        m_node_condition_ready=true
        m_node_condition_diskpressure=false
        m_node_address_Hostname=h
        m_node_address_InternalIP=10.1.0.1)"))));
    CHECK(run->sources() == std::set<std::string>{"node/n1"});
  }
  SECTION("a service at its DNS name") {
    api.Put("services", kService);
    api.Put("services", R"({
      "metadata": {"namespace": "ns", "name": "e"},
      "spec": {"type": "ExternalName", "externalName": "out.example",
               "ports": [{"port": 81}]}})");
    const auto run = Run(api, "role: service");
    CHECK(run->WaitFor({Labels(absl::StrCat(kServiceMeta, R"(
        __address__=s.ns.svc:80
        m_namespace=ns
        m_service_type=LoadBalancer
        m_service_cluster_ip=10.2.0.1
        m_service_loadbalancer_ip=1.1.1.1,2.2.2.2
        m_service_port_name=http
        m_service_port_number=80
        m_service_port_protocol=TCP)")),
                        Labels(R"(
        __address__=e.ns.svc:81
        m_namespace=ns
        m_service_name=e
        m_service_type=ExternalName
        m_service_external_name=out.example
        m_service_port_number=81)")}));
    CHECK(run->sources() == std::set<std::string>{"svc/ns/s", "svc/ns/e"});
  }
  SECTION("an ingress with each of its paths") {
    api.Put("ingresses", R"({
      "metadata": {"namespace": "ns", "name": "i"},
      "spec": {"ingressClassName": "cls",
               "tls": [{"hosts": ["*.x", "y"]}],
               "rules": [{"host": "a.x", "http": {"paths": [
                            {"path": "/p"}, {"path": ""}]}},
                         {"host": "b.a.x"}]}})");
    const auto run = Run(api, "role: ingress");
    const std::string common =
        "m_namespace=ns\nm_ingress_name=i\nm_ingress_class_name=cls\n";
    CHECK(run->WaitFor(
        {Labels(common + "__address__=a.x\nm_ingress_host=a.x\n"
                         "m_ingress_scheme=https\nm_ingress_path=/p"),
         Labels(common + "__address__=a.x\nm_ingress_host=a.x\n"
                         "m_ingress_scheme=https\nm_ingress_path=/"),
         Labels(common + "__address__=b.a.x\nm_ingress_host=b.a.x\n"
                         "m_ingress_scheme=http\nm_ingress_path=/")}));
    CHECK(api.paths()[0] == "/apis/networking.k8s.io/v1/ingresses");
  }
}

constexpr char kEndpoints[] = R"({
  "metadata": {"namespace": "ns", "name": "s", "labels": {"e": "f"}},
  "subsets": [{"ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
               "addresses": [{"ip": "10.0.0.1", "nodeName": "n1",
                              "hostname": "host",
                              "targetRef": {"kind": "Pod", "namespace": "ns",
                                            "name": "p"}}],
               "notReadyAddresses": [{"ip": "10.0.0.9"}]}]})";

TEST_CASE("endpoints carry their service and pod, and its other ports") {
  FakeKubernetes api;
  api.Put("endpoints", kEndpoints);
  const auto run = Run(api, "role: endpoints");
  const std::string own = R"(
      m_namespace=ns
      m_endpoints_name=s
      m_endpoints_label_e=f
      m_endpoints_labelpresent_e=true
      m_endpoint_port_name=http
      m_endpoint_port_protocol=TCP
  )";
  const std::string ready = own + R"(
      __address__=10.0.0.1:8080
      m_endpoint_ready=true
      m_endpoint_hostname=host
      m_endpoint_node_name=n1
      m_endpoint_address_target_kind=Pod
      m_endpoint_address_target_name=p
  )";
  const std::string not_ready = own + R"(
      __address__=10.0.0.9:8080
      m_endpoint_ready=false
  )";
  CHECK(run->WaitFor({Labels(ready), Labels(not_ready)}));

  api.Put("services", kService);
  CHECK(run->WaitFor(
      {Labels(ready + kServiceMeta), Labels(not_ready + kServiceMeta)}));

  api.Put("pods", kPod);
  const std::string with_pod = R"(
      m_pod_container_name=c1
      m_pod_container_image=i1
      m_pod_container_init=false
      m_pod_container_port_protocol=TCP
  )";
  CHECK(
      run->WaitFor({Labels(ready + kServiceMeta + kPodLabels + with_pod + R"(
                          m_pod_container_port_name=http
                          m_pod_container_port_number=8080)"),
                    Labels(not_ready + kServiceMeta),
                    Labels(absl::StrCat(R"(
                          __address__=10.0.0.1:9090
                          m_namespace=ns
                          m_endpoints_name=s
                          m_endpoints_label_e=f
                          m_endpoints_labelpresent_e=true
                          m_pod_container_port_number=9090)",
                                        kServiceMeta, kPodLabels, with_pod))}));
  CHECK(run->sources() == std::set<std::string>{"endpoints/ns/s"});

  api.Delete("services", "ns/s");
  api.Delete("pods", "ns/p");
  CHECK(run->WaitFor({Labels(ready), Labels(not_ready)}));
}

TEST_CASE("endpoint slices carry conditions, service, pod and node") {
  FakeKubernetes api;
  api.Put("endpointslices", R"({
    "metadata": {"namespace": "ns", "name": "s-1",
                 "labels": {"kubernetes.io/service-name": "s"}},
    "addressType": "IPv4",
    "ports": [{"name": "http", "port": 8080, "protocol": "TCP",
               "appProtocol": "h2c"}],
    "endpoints": [{"addresses": ["10.0.0.1"], "nodeName": "n1", "zone": "z1",
                   "conditions": {"ready": true, "serving": true,
                                  "terminating": false},
                   "targetRef": {"kind": "Pod", "namespace": "ns",
                                 "name": "p"}},
                  {"addresses": ["10.0.0.8"], "hostname": "h",
                   "deprecatedTopology": {"t/u": "v"}}]})");
  api.Put("endpointslices", R"({
    "metadata": {"namespace": "ns", "name": "s-2",
                 "labels": {"kubernetes.io/service-name": "s"}},
    "addressType": "IPv6", "ports": [{}],
    "endpoints": [{"addresses": ["fd00::1"]}]})");
  api.Put("nodes", kNode);
  api.Put("services", R"({"metadata": {"namespace": "ns", "name": "s"},
    "spec": {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"]}})");
  const auto run =
      Run(api, "role: endpointslice, attach_metadata: {node: true}");
  const std::string common = R"(
      m_namespace=ns
      m_service_name=s
      m_endpointslice_label_kubernetes_io_service_name=s
      m_endpointslice_labelpresent_kubernetes_io_service_name=true
  )";
  const std::string port = R"(
      m_endpointslice_name=s-1
      m_endpointslice_address_type=IPv4
      m_endpointslice_port=8080
      m_endpointslice_port_name=http
      m_endpointslice_port_protocol=TCP
      m_endpointslice_port_app_protocol=h2c
  )";
  const std::string first = Labels(common + port + kNodeMeta + R"(
      __address__=10.0.0.1:8080
      m_endpointslice_endpoint_conditions_ready=true
      m_endpointslice_endpoint_conditions_serving=true
      m_endpointslice_endpoint_conditions_terminating=false
      m_endpointslice_endpoint_node_name=n1
      m_endpointslice_endpoint_zone=z1
      m_endpointslice_address_target_kind=Pod
      m_endpointslice_address_target_name=p)");
  const std::string second = Labels(common + port + R"(
      __address__=10.0.0.8:8080
      m_endpointslice_endpoint_hostname=h
      m_endpointslice_endpoint_topology_t_u=v
      m_endpointslice_endpoint_topology_present_t_u=true)");
  CHECK(run->WaitFor({first, second, Labels(common + R"(
      __address__=fd00::1
      m_endpointslice_name=s-2
      m_endpointslice_address_type=IPv6)")}));
  CHECK(api.paths()[0] == "/apis/discovery.k8s.io/v1/endpointslices");

  // The same pods by another family of addresses are no further targets.
  api.Put("services", R"({"metadata": {"namespace": "ns", "name": "s"},
    "spec": {"ipFamilyPolicy": "PreferDualStack",
             "ipFamilies": ["IPv4", "IPv6"]}})");
  CHECK(run->WaitFor({first, second}));
}

TEST_CASE("what stands behind a pod is attached when asked for") {
  FakeKubernetes api;
  api.Put("pods", R"({
    "metadata": {"namespace": "ns", "name": "p", "ownerReferences": [
      {"kind": "ReplicaSet", "name": "rs", "controller": true}]},
    "spec": {"nodeName": "n1", "containers": [{"name": "c"}]},
    "status": {"podIP": "10.0.0.1"}})");
  api.Put("pods", R"({
    "metadata": {"namespace": "ns", "name": "q", "ownerReferences": [
      {"kind": "Job", "name": "j", "controller": true}]},
    "spec": {"nodeName": "n1", "containers": [{"name": "c"}]},
    "status": {"podIP": "10.0.0.2"}})");
  const auto run =
      Run(api,
          "role: pod, attach_metadata: {node: true, namespace: true, "
          "deployment: true, job: true, cronjob: true}");
  CHECK(run->WaitForCount(
      R"(prometheus_sd_kubernetes_events_total{role="pod",event="add"})", 2));
  // Not before the node is known.
  CHECK(run->sources().empty());
  api.Put("nodes", kNode);
  const std::string common = absl::StrCat(kNodeMeta, R"(
      m_namespace=ns
      m_pod_ready=unknown
      m_pod_node_name=n1
      m_pod_container_name=c
      m_pod_container_init=false)");
  const std::string p = common + R"(
      __address__=10.0.0.1
      m_pod_name=p
      m_pod_ip=10.0.0.1
      m_pod_controller_kind=ReplicaSet
      m_pod_controller_name=rs
  )";
  const std::string q = common + R"(
      __address__=10.0.0.2
      m_pod_name=q
      m_pod_ip=10.0.0.2
      m_pod_controller_kind=Job
      m_pod_controller_name=j
      m_pod_job_name=j
  )";
  CHECK(run->WaitFor({Labels(p), Labels(q)}));
  api.Put("replicasets", R"({"metadata": {"namespace": "ns", "name": "rs",
    "ownerReferences": [
      {"kind": "Deployment", "name": "d", "controller": true}]}})");
  api.Put("jobs", R"({"metadata": {"namespace": "ns", "name": "j",
    "ownerReferences": [
      {"kind": "CronJob", "name": "cj", "controller": true}]}})");
  api.Put("namespaces", R"({"metadata": {"name": "ns", "labels": {"t": "x"},
    "annotations": {"o": "y"}}})");
  const std::string space = R"(
      m_namespace_label_t=x
      m_namespace_labelpresent_t=true
      m_namespace_annotation_o=y
      m_namespace_annotationpresent_o=true
  )";
  CHECK(run->WaitFor({Labels(p + space + "m_pod_deployment_name=d"),
                      Labels(q + space + "m_pod_cronjob_name=cj")}));
}

}  // namespace
}  // namespace narthex::discovery
