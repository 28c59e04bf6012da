#include "libs/discovery/kubernetes.h"

#include <cstdlib>

#include "absl/strings/escaping.h"
#include "absl/strings/str_split.h"
#include "libs/base/file.h"
#include "libs/discovery/fake_kubernetes.h"
#include "libs/discovery/kubernetes_provider.h"
#include "libs/discovery/kubernetes_selector.h"
#include "libs/discovery/provider_run.h"

namespace narthex::discovery {
namespace {

constexpr char kFailures[] = "prometheus_sd_kubernetes_failures_total";

/// Runs discovery on the fake with short pauses. `text` has what follows
/// api_server in the configuration.
std::unique_ptr<ProviderRun> Run(const FakeKubernetes& api,
                                 const std::string& text) {
  const auto config = ParseConfig<KubernetesConfig>(
      "{api_server: '" + api.url() + "/', " + text + "}");
  return std::make_unique<ProviderRun>([&](const ProviderContext& context) {
    return std::make_unique<KubernetesProvider>(
        config, context,
        KubernetesProvider::Options{.min_pause_ms = 5, .max_pause_ms = 20});
  });
}

/// Labels as ProviderRun shows them, from lines "name=value": `m` stands for
/// __meta_kubernetes.
std::string Labels(absl::string_view lines) {
  std::vector<std::string> out;
  for (absl::string_view line : absl::StrSplit(lines, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (line.empty()) continue;
    const std::pair<std::string, std::string> field =
        absl::StrSplit(line, absl::MaxSplits('=', 1));
    std::string name = field.first;
    if (absl::StartsWith(name, "m_"))
      name = "__meta_kubernetes" + name.substr(1);
    out.push_back(absl::StrCat(name, "=\"", field.second, "\""));
  }
  std::sort(out.begin(), out.end());
  return absl::StrJoin(out, " ");
}

/// A pod that has nothing but an address.
std::string SmallPod(const std::string& name, const std::string& ip,
                     const std::string& space = "ns") {
  return absl::StrCat(R"({"metadata": {"namespace": ")", space,
                      R"(", "name": ")", name,
                      R"("}, "spec": {"containers": [{"name": "c"}]},)"
                      R"("status": {"podIP": ")",
                      ip, "\"}}");
}
std::string SmallPodTarget(const std::string& name, const std::string& ip,
                           const std::string& space = "ns") {
  return Labels("__address__=" + ip + "\nm_namespace=" + space +
                "\nm_pod_name=" + name + "\nm_pod_ip=" + ip + R"(
    m_pod_ready=unknown
    m_pod_container_name=c
    m_pod_container_init=false)");
}

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
constexpr char kNode[] = R"({
  "metadata": {"name": "n1", "labels": {"zone": "z"}},
  "spec": {"providerID": "p://1"},
  "status": {"addresses": [{"type": "Hostname", "address": "h"},
                           {"type": "InternalIP", "address": "10.1.0.1"},
                           {"type": "InternalIP", "address": "10.1.0.2"}],
             "conditions": [{"type": "Ready", "status": "True"},
                            {"type": "DiskPressure", "status": "False"}],
             "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}}})";
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

TEST_CASE("a watch follows changes and is resumed where it was cut") {
  FakeKubernetes api;
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    api.Put("pods", SmallPod(name, "1.1.1.1"));
  }
  const auto run = Run(api, "role: pod");
  const auto target = [](const std::string& name) {
    return SmallPodTarget(name, "1.1.1.1");
  };
  // In pages of two.
  CHECK(run->WaitFor(
      {target("a"), target("b"), target("c"), target("d"), target("e")}));
  CHECK(api.lists() == 3);
  for (const char* name : {"c", "d", "e"}) {
    api.Delete("pods", std::string("ns/") + name);
  }
  api.Put("pods", SmallPod("b", "2.2.2.2"));
  CHECK(run->WaitFor({target("a"), SmallPodTarget("b", "2.2.2.2")}));

  api.Cut();
  api.Put("pods", SmallPod("f", "1.1.1.1"));
  api.Delete("pods", "ns/a");
  CHECK(run->WaitFor({SmallPodTarget("b", "2.2.2.2"), target("f")}));
  CHECK(api.lists() == 3);
  CHECK(run->CountOf(kFailures) == 0);
}

TEST_CASE("a bookmark lets a quiet watch be resumed") {
  FakeKubernetes api;
  api.Put("pods", SmallPod("a", "1.1.1.1"));
  const auto run = Run(api, "role: pod");
  CHECK(run->WaitFor(SmallPodTarget("a", "1.1.1.1")));
  for (int i = 0; i < 5; ++i) api.Put("nodes", kNode);
  api.Bookmark("pods");
  api.Put("pods", SmallPod("b", "1.1.1.1"));
  CHECK(run->WaitFor(
      {SmallPodTarget("a", "1.1.1.1"), SmallPodTarget("b", "1.1.1.1")}));
  api.Bookmark("pods");
  api.Put("pods", SmallPod("c", "1.1.1.1"));
  CHECK(run->WaitFor({SmallPodTarget("a", "1.1.1.1"),
                      SmallPodTarget("b", "1.1.1.1"),
                      SmallPodTarget("c", "1.1.1.1")}));
  api.Forget(/*as_status=*/true);
  const int watches = api.watches();
  api.Cut();
  CHECK(run->WaitUntil([&] { return api.watches() > watches; },
                       [] { return "another watch"; }));
  api.Delete("pods", "ns/a");
  CHECK(run->WaitFor(
      {SmallPodTarget("b", "1.1.1.1"), SmallPodTarget("c", "1.1.1.1")}));
  CHECK(api.lists() == 1);
}

TEST_CASE("when the history is gone everything is listed anew") {
  const bool as_status = GENERATE(false, true);
  FakeKubernetes api;
  api.Put("pods", SmallPod("a", "1.1.1.1"));
  api.Put("pods", SmallPod("b", "1.1.1.1"));
  const auto run = Run(api, "role: pod");
  CHECK(run->WaitFor(
      {SmallPodTarget("a", "1.1.1.1"), SmallPodTarget("b", "1.1.1.1")}));
  api.Stop();
  api.Delete("pods", "ns/a");
  api.Put("pods", SmallPod("c", "1.1.1.1"));
  api.Forget(as_status);
  CHECK(run->WaitForCount(kFailures, 1));
  CHECK(run->sources() == std::set<std::string>{"pod/ns/a", "pod/ns/b"});
  api.StartAgain();
  CHECK(run->WaitFor(
      {SmallPodTarget("b", "1.1.1.1"), SmallPodTarget("c", "1.1.1.1")}));
  CHECK(api.lists() == 2);
}

TEST_CASE("targets stay while the server refuses or talks nonsense") {
  FakeKubernetes api;
  api.Refuse(403);
  const auto run = Run(api, "role: pod");
  CHECK(run->WaitForCount(kFailures, 2));
  api.Put("pods", SmallPod("a", "1.1.1.1"));
  api.Refuse(0);
  CHECK(run->WaitFor(SmallPodTarget("a", "1.1.1.1")));

  api.Refuse(500);
  api.Cut();
  CHECK(run->WaitForCount(kFailures, run->CountOf(kFailures) + 3));
  CHECK(run->sources() == std::set<std::string>{"pod/ns/a"});
  api.Put("pods", SmallPod("b", "1.1.1.1"));
  api.Refuse(0);
  CHECK(run->WaitFor(
      {SmallPodTarget("a", "1.1.1.1"), SmallPodTarget("b", "1.1.1.1")}));

  const double failures = run->CountOf(kFailures);
  api.SendNonsense();
  CHECK(run->WaitForCount(kFailures, failures + 1));
  api.Delete("pods", "ns/b");
  CHECK(run->WaitFor(SmallPodTarget("a", "1.1.1.1")));
}

TEST_CASE("only the namespaces and objects asked for are watched") {
  FakeKubernetes api;
  api.Put("pods", SmallPod("a", "1.1.1.1", "x"));
  api.Put("pods", SmallPod("b", "1.1.1.1", "y"));
  api.Put("pods", SmallPod("c", "1.1.1.1", "z"));
  {
    const auto run = Run(api, "role: pod, namespaces: {names: [x, y]}");
    CHECK(run->WaitFor({SmallPodTarget("a", "1.1.1.1", "x"),
                        SmallPodTarget("b", "1.1.1.1", "y")}));
    CHECK(api.paths()[0] == "/api/v1/namespaces/x/pods");
    api.Delete("pods", "x/a");
    CHECK(run->WaitFor(SmallPodTarget("b", "1.1.1.1", "y")));
  }
  const auto run =
      Run(api, "role: pod, selectors: [{role: pod, field: metadata.name=c}]");
  CHECK(run->WaitFor(SmallPodTarget("c", "1.1.1.1", "z")));
}

TEST_CASE("a cluster is found by a kubeconfig, once it is there") {
  FakeKubernetes api;
  api.Put("pods", SmallPod("a", "1.1.1.1"));
  const base::TemporaryDirectory directory;
  const std::string path = directory.path() + "/config";
  KubernetesConfig config;
  config.role = "pod";
  config.kubeconfig_file = path;
  ProviderRun run([&](const ProviderContext& context) {
    return std::make_unique<KubernetesProvider>(
        config, context,
        KubernetesProvider::Options{.min_pause_ms = 5, .max_pause_ms = 20});
  });
  CHECK(run.WaitForCount(kFailures, 1));
  REQUIRE(base::WriteFileAtomically(directory.path() + "/token", "t\n").ok());
  REQUIRE(base::WriteFileAtomically(
              path,
              "{current-context: c, contexts: [{name: c, context: "
              "{cluster: k, user: u}}], clusters: [{name: k, cluster: "
              "{server: '" +
                  api.url() +
                  "'}}], users: [{name: u, user: {tokenFile: token}}]}")
              .ok());
  CHECK(run.WaitFor(SmallPodTarget("a", "1.1.1.1")));
  CHECK(api.authorization() == "Bearer t");
}

TEST_CASE("a kubeconfig gives server, authority and user") {
  const base::TemporaryDirectory directory;
  const std::string path = directory.path() + "/config";
  const auto read = [&](const std::string& cluster, const std::string& user) {
    REQUIRE(base::WriteFileAtomically(
                path,
                "{apiVersion: v1, kind: Config, current-context: c, contexts: "
                "[{name: c, context: {cluster: k, user: u}}], clusters: "
                "[{name: k, cluster: " +
                    cluster + "}], users: [{name: u, user: " + user + "}]}")
                .ok());
    return KubeconfigAccess(path);
  };
  auto access =
      read("{server: 'https://h:6443/', certificate-authority-data: " +
               absl::Base64Escape("CA") + ", tls-server-name: sn}",
           "{client-certificate: c.pem, client-key-data: " +
               absl::Base64Escape("KEY") + "}");
  REQUIRE(access.ok());
  CHECK(access->url == "https://h:6443");
  CHECK(access->client->tls.ca == "CA");
  CHECK(access->client->tls.server_name == "sn");
  CHECK(access->client->tls.cert_file == directory.path() + "/c.pem");
  CHECK(access->client->tls.key == "KEY");
  access = read("{server: 'https://h', insecure-skip-tls-verify: true}",
                "{username: a, password: b}");
  REQUIRE(access.ok());
  CHECK(access->client->tls.insecure_skip_verify);
  CHECK(access->client->basic_auth->password == "b");

  CHECK_THAT(std::string(read("{}", "{}").status().message()),
             Catch::EndsWith("server is not set"));
  CHECK_THAT(std::string(read("{server: h}", "{exec: {}}").status().message()),
             Catch::Contains("users known by exec are not supported"));
}

TEST_CASE("a pod finds its cluster in its environment") {
  const base::TemporaryDirectory directory;
  unsetenv("KUBERNETES_SERVICE_HOST");
  CHECK(absl::IsFailedPrecondition(InClusterAccess(directory.path()).status()));
  setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
  setenv("KUBERNETES_SERVICE_PORT", "443", 1);
  CHECK_FALSE(InClusterAccess(directory.path()).ok());
  for (const char* name : {"token", "ca.crt", "namespace"}) {
    REQUIRE(
        base::WriteFileAtomically(directory.path() + "/" + name, "x\n").ok());
  }
  const auto access = InClusterAccess(directory.path());
  REQUIRE(access.ok());
  CHECK(access->url == "https://[fd00::1]:443");
  CHECK(access->own_namespace == "x");
  CHECK(access->client->tls.ca_file == directory.path() + "/ca.crt");
  CHECK(access->client->authorization->credentials_file ==
        directory.path() + "/token");
  unsetenv("KUBERNETES_SERVICE_HOST");
  unsetenv("KUBERNETES_SERVICE_PORT");
}

TEST_CASE("kubernetes discovery configs are checked and printed") {
  CHECK(PrintedConfig(ParseConfig<KubernetesConfig>(
            "{role: endpoints, namespaces: {names: [a]}, selectors: [{role: "
            "pod, label: 'a in (b, c),!d,e!=f'}], attach_metadata: {node: "
            "true}}")) ==
        "role: endpoints\nkubeconfig_file: \"\"\nfollow_redirects: true\n"
        "enable_http2: true\nnamespaces:\n  own_namespace: false\n  names:\n"
        "  - a\nselectors:\n- role: pod\n  label: a in (b, c),!d,e!=f\n"
        "attach_metadata:\n  node: true\n  namespace: false\n"
        "  deployment: false\n  job: false\n  cronjob: false\n");
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"{}",
       "role missing (one of: pod, service, endpoints, endpointslice, node, "
       "ingress)"},
      {"role: vacation", "unknown Kubernetes SD role \"vacation\""},
      {"{role: pod, api_server: 'http://a', kubeconfig_file: b}",
       "cannot use 'kubeconfig_file' and 'api_server' simultaneously"},
      {"{role: pod, kubeconfig_file: b, bearer_token: c}",
       "cannot use a custom HTTP client configuration together with "
       "'kubeconfig_file'"},
      {"{role: pod, bearer_token: c}",
       "to use custom HTTP client configuration please provide the "
       "'api_server' URL explicitly"},
      {"{role: pod, api_server: 'http://a', namespaces: {own_namespace: true}}",
       "cannot use 'api_server' and 'namespaces.own_namespace' "
       "simultaneously"},
      {"{role: pod, kubeconfig_file: b, namespaces: {own_namespace: true}}",
       "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' "
       "simultaneously"},
      {"{role: pod, namespaces: {foo: bar}}", "field foo not found"},
      {"{role: pod, selectors: [{role: pod}, {role: pod}]}",
       "duplicated selector role: pod"},
      {"{role: endpoints, selectors: [{role: node}]}",
       "endpoints role supports only pod, service, endpoints selectors"},
      {"{role: pod, selectors: [{role: pod, field: a}]}",
       "invalid selector: 'a'; can't understand 'a'"},
      {"{role: pod, selectors: [{role: pod, label: 'a=b=c'}]}",
       "unable to parse requirement: \"a=b=c\""},
  };
  for (const auto& [text, reason] : rows) {
    INFO(text);
    CHECK_THAT(ConfigError<KubernetesConfig>(text), Catch::EndsWith(reason));
  }
}

TEST_CASE("label selectors are taken as by the Kubernetes API") {
  for (const char* good :
       {"", "a", "!a", "a=b", "a==b", "a!=b", "a=", "x.y/z=1", "a in (b)",
        "a notin (b, c),d", "a>1", " a = b , c "}) {
    INFO(good);
    CHECK(CheckLabelSelector(good).ok());
  }
  for (const char* bad : {"=b", "a in b", "a in (b", "a>b", "a b", ",", "-a"}) {
    INFO(bad);
    CHECK_FALSE(CheckLabelSelector(bad).ok());
  }
}

}  // namespace
}  // namespace narthex::discovery
