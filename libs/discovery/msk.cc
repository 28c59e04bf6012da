#include "libs/discovery/msk.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/discovery/meta_labels.h"
#include "libs/http/message.h"

namespace narthex::discovery {
namespace {

/// All items of the list `name` on all pages of `path`.
absl::StatusOr<std::vector<Json>> ListAll(AwsApi& api, Fetcher& fetcher,
                                          const std::string& path,
                                          const char* name) {
  std::vector<Json> out;
  std::string token;
  do {
    const std::string url =
        token.empty()
            ? path
            : absl::StrCat(path, "&nextToken=", http::PercentEncode(token));
    NARTHEX_ASSIGN_OR_RETURN(const Json page, api.Get(fetcher, url));
    const Json& items = Child(page, name);
    out.insert(out.end(), items.begin(), items.end());
    token = Text(page, "nextToken");
  } while (!token.empty());
  return out;
}

/// Only clusters that are provisioned have nodes to be scraped.
absl::StatusOr<std::vector<Json>> Clusters(AwsApi& api, Fetcher& fetcher,
                                           const MskConfig& config) {
  if (config.clusters.empty()) {
    return ListAll(api, fetcher,
                   "/api/v2/clusters?clusterTypeFilter=PROVISIONED"
                   "&maxResults=100",
                   "clusterInfoList");
  }
  std::vector<std::string> paths;
  for (const std::string& arn : config.clusters) {
    paths.push_back("/api/v2/clusters/" + http::PercentEncode(arn));
  }
  NARTHEX_ASSIGN_OR_RETURN(
      const std::vector<Json> answers,
      api.GetAll(fetcher, paths, config.request_concurrency));
  std::vector<Json> out;
  for (const Json& answer : answers) {
    const Json& cluster = Child(answer, "clusterInfo");
    if (Text(cluster, "clusterType") == "PROVISIONED") out.push_back(cluster);
  }
  return out;
}

MetaLabels ClusterLabels(const Json& cluster) {
  const Json& provisioned = Child(cluster, "provisioned");
  const Json& software = Child(provisioned, "currentBrokerSoftwareInfo");
  const Json& jmx = Child(
      Child(Child(provisioned, "openMonitoring"), "prometheus"), "jmxExporter");
  MetaLabels labels("__meta_msk_");
  labels.Add("cluster_name", Text(cluster, "clusterName"))
      .Add("cluster_arn", Text(cluster, "clusterArn"))
      .Add("cluster_state", Text(cluster, "state"))
      .Add("cluster_type", Text(cluster, "clusterType"))
      .Add("cluster_version", Text(cluster, "currentVersion"))
      .Add("cluster_kafka_version", Text(software, "kafkaVersion"))
      .Add("cluster_configuration_arn", Text(software, "configurationArn"));
  if (Child(software, "configurationRevision").is_number()) {
    labels.Add("cluster_configuration_revision",
               Number(software, "configurationRevision"));
  }
  if (jmx.is_map()) {
    labels.AddFlag("cluster_jmx_exporter_enabled",
                   Flag(jmx, "enabledInBroker"));
  }
  ForEachText(Child(cluster, "tags"),
              [&](const std::string& key, const std::string& value) {
                labels.AddKey("cluster_tag_", key, value);
              });
  return labels;
}

/// A target for each endpoint of a node.
void AddEndpoints(const Json& node, const std::string& index_label,
                  const MetaLabels& labels, int port, TargetGroup* group) {
  std::int64_t index = 0;
  for (const std::string& endpoint : Texts(node, "endpoints")) {
    group->targets.push_back(MetaLabels(labels)
                                 .Address(JoinHostPort(endpoint, port))
                                 .Add(index_label, index++)
                                 .Build());
  }
}

void AddNode(const Json& cluster, const Json& node, MetaLabels labels, int port,
             TargetGroup* group) {
  labels.Add("node_arn", Text(node, "nodeARN"))
      .Add("node_added_time", Text(node, "addedToClusterTime"))
      .Add("node_instance_type", Text(node, "instanceType"));
  const Json& broker = Child(node, "brokerNodeInfo");
  const Json& controller = Child(node, "controllerNodeInfo");
  if (broker.is_map()) {
    const Json& exporter =
        Child(Child(Child(Child(cluster, "provisioned"), "openMonitoring"),
                    "prometheus"),
              "nodeExporter");
    labels.Add("node_type", "BROKER")
        .Add("node_attached_eni", Text(broker, "attachedENIId"))
        .Add("broker_id", std::llround(Child(broker, "brokerId").number()))
        .Add("broker_client_subnet", Text(broker, "clientSubnet"))
        .Add("broker_client_vpc_ip", Text(broker, "clientVpcIpAddress"));
    if (exporter.is_map()) {
      labels.AddFlag("broker_node_exporter_enabled",
                     Flag(exporter, "enabledInBroker"));
    }
    AddEndpoints(broker, "broker_endpoint_index", labels, port, group);
  } else if (controller.is_map()) {
    labels.Add("node_type", "CONTROLLER");
    AddEndpoints(controller, "controller_endpoint_index", labels, port, group);
  }
}

absl::StatusOr<std::vector<TargetGroup>> Refresh(AwsApi& api,
                                                 const MskConfig& config,
                                                 Fetcher& fetcher) {
  TargetGroup group;
  NARTHEX_ASSIGN_OR_RETURN(group.source, api.Region(fetcher));
  const auto clusters = Clusters(api, fetcher, config);
  if (!clusters.ok()) {
    return base::Annotate(clusters.status(), "could not list clusters");
  }
  for (const Json& cluster : *clusters) {
    const std::string arn = Text(cluster, "clusterArn");
    const auto nodes =
        ListAll(api, fetcher,
                absl::StrCat("/v1/clusters/", http::PercentEncode(arn),
                             "/nodes?maxResults=100"),
                "nodeInfoList");
    if (!nodes.ok()) {
      return base::Annotate(
          nodes.status(),
          absl::StrCat("could not list nodes for cluster ", arn));
    }
    const MetaLabels labels = ClusterLabels(cluster);
    for (const Json& node : *nodes) {
      AddNode(cluster, node, labels, config.port, &group);
    }
  }
  return std::vector<TargetGroup>{std::move(group)};
}

}  // namespace

absl::Status Decode(const yaml::Node& node, MskConfig* config) {
  yaml::Decoder d(node);
  DecodeAwsClusters(d, config);
  return d.Done();
}

void Emit(const MskConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  EmitAwsClusters(config, nullptr, out);
  http::EmitClientConfig(config.client, out);
  out->EndMap();
}

std::unique_ptr<Provider> MakeProvider(const MskConfig& config,
                                       const ProviderContext& context) {
  auto api =
      std::make_shared<AwsApi>(config, AwsApi::Options{.service = "kafka"});
  return PollApi("msk", config, context, [api, config](Fetcher& fetcher) {
    return Refresh(*api, config, fetcher);
  });
}

}  // namespace narthex::discovery
