#include "libs/discovery/kubernetes.h"

#include <cstdlib>

#include "absl/strings/escaping.h"
#include "libs/base/file.h"
#include "libs/discovery/kubernetes_run.h"
#include "libs/discovery/kubernetes_selector.h"

namespace narthex::discovery {
namespace {

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
  CHECK(run->CountOf("prometheus_sd_kubernetes_http_request_total"
                     "{status_code=\"403\"}") >= 2);
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
