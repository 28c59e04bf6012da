#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "libs/discovery/fake_kubernetes.h"
#include "libs/discovery/kubernetes.h"
#include "libs/discovery/kubernetes_provider.h"
#include "libs/discovery/provider_run.h"

/// For the tests of Kubernetes discovery.
namespace narthex::discovery {

inline constexpr char kFailures[] = "prometheus_sd_kubernetes_failures_total";

/// Runs discovery on the fake with short pauses. `text` has what follows
/// api_server in the configuration.
inline std::unique_ptr<ProviderRun> Run(const FakeKubernetes& api,
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
inline std::string Labels(absl::string_view lines) {
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
inline std::string SmallPod(const std::string& name, const std::string& ip,
                            const std::string& space = "ns") {
  return absl::StrCat(R"({"metadata": {"namespace": ")", space,
                      R"(", "name": ")", name,
                      R"("}, "spec": {"containers": [{"name": "c"}]},)"
                      R"("status": {"podIP": ")",
                      ip, "\"}}");
}
inline std::string SmallPodTarget(const std::string& name,
                                  const std::string& ip,
                                  const std::string& space = "ns") {
  return Labels("__address__=" + ip + "\nm_namespace=" + space +
                "\nm_pod_name=" + name + "\nm_pod_ip=" + ip + R"(
    m_pod_ready=unknown
    m_pod_container_name=c
    m_pod_container_init=false)");
}

/// A node with addresses and conditions.
inline constexpr char kNode[] = R"({
  "metadata": {"name": "n1", "labels": {"zone": "z"}},
  "spec": {"providerID": "p://1"},
  "status": {"addresses": [{"type": "Hostname", "address": "h"},
                           {"type": "InternalIP", "address": "10.1.0.1"},
                           {"type": "InternalIP", "address": "10.1.0.2"}],
             "conditions": [{"type": "Ready", "status": "True"},
                            {"type": "DiskPressure", "status": "False"}],
             "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}}})";

}  // namespace narthex::discovery
