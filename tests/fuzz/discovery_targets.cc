// What mechanisms of service discovery answer: JSON, XML, DNS messages,
// ZooKeeper's frames, kubeconfig files.
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/discovery/dns_resolver.h"
#include "libs/discovery/eureka.h"
#include "libs/discovery/http.h"
#include "libs/discovery/json.h"
#include "libs/discovery/jute.h"
#include "libs/discovery/kubernetes_access.h"
#include "libs/discovery/kubernetes_object.h"
#include "libs/discovery/kuma.h"
#include "libs/discovery/xml_rpc.h"
#include "libs/discovery/zookeeper.h"
#include "tests/fuzz/fuzz_target.h"

namespace narthex::fuzz {
namespace {

using Seeds = std::vector<std::string>;

void RunJson(absl::string_view input) {
  const auto json = discovery::ParseJson(input);
  if (!json.ok()) return;
  const std::string printed = json->Dump();
  const auto again = discovery::ParseJson(printed);
  Require(again.ok(), "printed JSON is read again");
  Require(again->Dump() == printed, "printed JSON stays as it is");
}

Seeds JsonTexts() {
  return {R"({"a":[1,-2.5e-3,true,null,{"b":"\u00fc\n"}],"":"x","a":2})",
          "[[[[]]]]", "18446744073709551615", R"("\ud83d\ude00")"};
}

void RunTargetGroups(absl::string_view input) {
  static_cast<void>(
      discovery::ParseTargetGroups(std::string(input), "http://u"));
}

Seeds TargetGroupLists() {
  return {R"([{"targets":["a:1","b:2"],"labels":{"x":"y"}},{"targets":[]}])"};
}

void RunDns(absl::string_view input) {
  for (const discovery::DnsRecord& record : discovery::ParseDnsAnswer(input)) {
    Require(!record.address.empty() || !record.target.empty(),
            "a record says something");
  }
}

Seeds DnsMessages() {
  using namespace std::string_literals;
  // A response to "a.b": an address, then a service at the name asked for.
  return {
      "\x12\x34\x81\x80\0\x01\0\x02\0\0\0\0\x01"s
      "a\x01"s
      "b\0\0\x01\0\x01"s
      "\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x7f\0\0\x01"s
      "\xc0\x0c\0\x21\0\x01\0\0\0\x3c\0\x08\0\x01\0\x02\0\x50\xc0\x0c"s};
}

void RunJute(absl::string_view input) {
  discovery::JuteReader reader(input);
  const std::string text = reader.Text();
  const std::vector<std::string> texts = reader.Texts();
  reader.Long();
  reader.Bool();
  if (!reader.ok()) return;
  discovery::JuteWriter writer;
  writer.Text(text).Int(static_cast<std::int32_t>(texts.size()));
  for (const std::string& one : texts) writer.Text(one);
  discovery::JuteReader again(writer.data());
  Require(again.Text() == text && again.Texts() == texts && again.ok(),
          "what was read is written and read again");
}

Seeds JuteFrames() {
  discovery::JuteWriter writer;
  writer.Text("/path").Int(2).Text("a").Text("").Long(7).Bool(true);
  return {writer.data()};
}

void RunZookeeper(absl::string_view input) {
  const std::string data(input);
  static_cast<void>(discovery::ParseServersetMember(data, "/p"));
  static_cast<void>(discovery::ParseNerveMember(data, "/p"));
}

Seeds ZookeeperMembers() {
  return {R"({"serviceEndpoint":{"host":"h","port":1},"status":"ALIVE",
              "shard":0,"additionalEndpoints":{"http":{"host":"h","port":2}}})",
          R"({"host":"h","port":1,"name":"n"})"};
}

void RunEureka(absl::string_view input) {
  static_cast<void>(discovery::ParseEurekaApps(std::string(input)));
}

Seeds EurekaApps() {
  return {R"(<applications><application><name>A</name><instance>
      <instanceId>i</instanceId><hostName>h</hostName><countryId>1</countryId>
      <port enabled="true">80</port><securePort enabled="false">443</securePort>
      <dataCenterInfo><name>d</name><metadata><k:x>v</k:x></metadata>
      </dataCenterInfo><metadata><a><b>c</b></a></metadata>
      </instance></application></applications>)"};
}

void RunKubeconfig(absl::string_view input) {
  const int file = memfd_create("kubeconfig", MFD_CLOEXEC);
  Require(file >= 0, "a file in memory");
  const base::UniqueFd closed(file);
  Require(base::WriteAll(file, input, "kubeconfig").ok(), "it is written");
  static_cast<void>(
      discovery::KubeconfigAccess(absl::StrCat("/proc/self/fd/", file)));
}

Seeds Kubeconfigs() {
  return {R"({apiVersion: v1, kind: Config, current-context: c,
      contexts: [{name: c, context: {cluster: k, user: u, namespace: n}}],
      clusters: [{name: k, cluster: {server: 'https://h:6443',
        certificate-authority-data: QQ==, insecure-skip-tls-verify: false}}],
      users: [{name: u, user: {token: t, client-certificate: /x,
        client-key-data: QQ==, username: a, password: b}}]})"};
}

void RunKubernetes(absl::string_view input) {
  for (int i = 0; i <= static_cast<int>(discovery::KubernetesResource::kJob);
       ++i) {
    const auto resource = static_cast<discovery::KubernetesResource>(i);
    static_cast<void>(discovery::ParseKubernetesEvent(resource, input));
    static_cast<void>(discovery::ParseKubernetesList(resource, input));
  }
}

Seeds KubernetesObjects() {
  const std::string pod =
      R"({"metadata":{"name":"p","namespace":"n","resourceVersion":"1",
        "labels":{"a":"b"},"ownerReferences":[{"controller":true,
        "kind":"ReplicaSet","name":"r-1"}]},"spec":{"nodeName":"x",
        "containers":[{"name":"c","image":"i","ports":[{"name":"m",
        "containerPort":80,"protocol":"TCP"}]}]},"status":{"podIP":"10.0.0.1",
        "phase":"Running","conditions":[{"type":"Ready","status":"True"}],
        "containerStatuses":[{"name":"c","containerID":"d"}]}})";
  const std::string slice =
      R"({"metadata":{"name":"s"},"addressType":"IPv4","ports":[{"port":1,
        "name":"m","protocol":"TCP"}],"endpoints":[{"addresses":["10.0.0.1"],
        "conditions":{"ready":true},"targetRef":{"kind":"Pod","name":"p"}}],
        "subsets":[{"ports":[{"port":1}],"addresses":[{"ip":"10.0.0.2"}]}]})";
  const std::string ingress =
      R"({"metadata":{"name":"i"},"spec":{"tls":[{"hosts":["*.h"]}],
        "rules":[{"host":"a.h","http":{"paths":[{"path":"/x"}]}}],
        "clusterIP":"None","ports":[{"port":80}],"type":"ClusterIP"}})";
  Seeds seeds;
  for (const std::string& object : {pod, slice, ingress}) {
    seeds.push_back(absl::StrCat(R"({"type":"ADDED","object":)", object, "}"));
    seeds.push_back(absl::StrCat(
        R"({"metadata":{"resourceVersion":"5","continue":"c"},"items":[)",
        object, "]}"));
  }
  seeds.emplace_back(R"({"type":"ERROR","object":{"code":410,"message":"m"}})");
  return seeds;
}

void RunKuma(absl::string_view input) {
  static_cast<void>(discovery::ParseKumaResponse(std::string(input)));
}

Seeds KumaResponses() {
  const std::string type =
      "type.googleapis.com/kuma.observability.v1.MonitoringAssignment";
  return {absl::StrCat(R"({"versionInfo":"1","nonce":"n","typeUrl":")", type,
                       R"(","resources":[{"@type":")", type,
                       R"(","mesh":"m","service":"s","labels":{"a":"b"},)",
                       R"("targets":[{"name":"t","address":"h:1",)",
                       R"("metrics_path":"/m","labels":{"c":"d"}}]}]})")};
}

void RunXmlRpc(absl::string_view input) {
  pugi::xml_document xml;
  const auto result = discovery::XmlRpcResult(std::string(input), &xml);
  if (!result.ok()) return;
  discovery::XmlRpcScalar(*result);
  for (const pugi::xml_node& item : discovery::XmlRpcItems(*result)) {
    discovery::XmlRpcScalar(discovery::XmlRpcMember(item, "id"));
  }
}

Seeds XmlRpcAnswers() {
  return {
      "<methodResponse><params><param><value><array><data><value><struct>"
      "<member><name>id</name><value><int>1</int></value></member></struct>"
      "</value></data></array></value></param></params></methodResponse>",
      "<methodResponse><fault><value><struct><member><name>faultCode</name>"
      "<value><int>1</int></value></member></struct></value></fault>"
      "</methodResponse>"};
}

}  // namespace

const std::vector<Target>& Targets() {
  static const std::vector<Target> targets = {
      {"json", RunJson, JsonTexts},
      {"http_sd", RunTargetGroups, TargetGroupLists},
      {"dns_answer", RunDns, DnsMessages},
      {"jute", RunJute, JuteFrames},
      {"zookeeper_member", RunZookeeper, ZookeeperMembers},
      {"eureka", RunEureka, EurekaApps},
      {"kubeconfig", RunKubeconfig, Kubeconfigs},
      {"kubernetes", RunKubernetes, KubernetesObjects},
      {"kuma", RunKuma, KumaResponses},
      {"xml_rpc", RunXmlRpc, XmlRpcAnswers},
  };
  return targets;
}

}  // namespace narthex::fuzz
