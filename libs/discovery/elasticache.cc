#include "libs/discovery/elasticache.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "libs/base/status.h"
#include "libs/discovery/aws_xml.h"

namespace narthex::discovery {
namespace {

using pugi::xml_node;

constexpr char kServerlessElements[] =
    "ARN=arn ServerlessCacheName=name Status Engine FullEngineVersion "
    "MajorEngineVersion Description CreateTime KmsKeyId UserGroupId "
    "DailySnapshotTime SnapshotRetentionLimit Endpoint/Address Endpoint/Port "
    "ReaderEndpoint/Address=endpoint_reader_address "
    "ReaderEndpoint/Port=endpoint_reader_port "
    "CacheUsageLimits/DataStorage/Maximum="
    "cache_usage_limit_data_storage_maximum "
    "CacheUsageLimits/DataStorage/Minimum="
    "cache_usage_limit_data_storage_minimum "
    "CacheUsageLimits/DataStorage/Unit=cache_usage_limit_data_storage_unit "
    "CacheUsageLimits/ECPUPerSecond/Maximum="
    "cache_usage_limit_ecpu_per_second_maximum "
    "CacheUsageLimits/ECPUPerSecond/Minimum="
    "cache_usage_limit_ecpu_per_second_minimum";

constexpr char kClusterElements[] =
    "ARN=arn AtRestEncryptionEnabled AuthTokenEnabled "
    "AuthTokenLastModifiedDate=auth_token_last_modified "
    "AutoMinorVersionUpgrade CacheClusterCreateTime CacheClusterId "
    "CacheClusterStatus CacheNodeType "
    "CacheParameterGroup/CacheParameterGroupName=cache_parameter_group "
    "CacheSubnetGroupName ClientDownloadLandingPage "
    "ConfigurationEndpoint/Address ConfigurationEndpoint/Port Engine "
    "EngineVersion IpDiscovery NetworkType "
    "NotificationConfiguration/TopicArn=notification_topic_arn "
    "NotificationConfiguration/TopicStatus=notification_topic_status "
    "NumCacheNodes PreferredAvailabilityZone PreferredMaintenanceWindow "
    "PreferredOutpostArn ReplicationGroupId ReplicationGroupLogDeliveryEnabled "
    "SnapshotRetentionLimit SnapshotWindow TransitEncryptionEnabled "
    "TransitEncryptionMode PendingModifiedValues/AuthTokenStatus "
    "PendingModifiedValues/CacheNodeType PendingModifiedValues/EngineVersion "
    "PendingModifiedValues/NumCacheNodes "
    "PendingModifiedValues/TransitEncryptionEnabled "
    "PendingModifiedValues/TransitEncryptionMode";

/// Each is given with the number of the configuration at its end.
constexpr char kLogElements[] =
    "DestinationType=destination_type_$ LogFormat=log_format_$ "
    "LogType=log_type_$ Status=status_$ Message=message_$ "
    "DestinationDetails/CloudWatchLogsDetails/LogGroup=log_group_$ "
    "DestinationDetails/KinesisFirehoseDetails/DeliveryStream="
    "delivery_stream_$";

constexpr char kNodeElements[] =
    "CacheNodeId=id CacheNodeStatus=status CacheNodeCreateTime=create_time "
    "CustomerAvailabilityZone=availability_zone CustomerOutpostArn "
    "SourceCacheNodeId ParameterGroupStatus Endpoint/Address Endpoint/Port";

/// Names by what they are, from the ARNs of a configuration.
struct Names {
  std::vector<std::string> serverless;
  std::vector<std::string> clusters;
};

Names NamesOf(const std::vector<std::string>& arns) {
  Names names;
  for (const std::string& arn : arns) {
    const std::vector<std::string> parts = absl::StrSplit(arn, ':');
    if (parts.size() < 7) continue;
    if (parts[5] == "serverlesscache") names.serverless.push_back(parts[6]);
    if (parts[5] == "replicationgroup") names.clusters.push_back(parts[6]);
  }
  return names;
}

void AddEndpoint(const xml_node& endpoint, MetaLabels* labels) {
  if (!endpoint.child("Address") || !endpoint.child("Port")) return;
  labels->Address(JoinHostPort(endpoint.child("Address").text().get(),
                               endpoint.child("Port").text().as_llong()));
}

/// <prefix>_<number> for each item of a list.
void AddNumbered(const xml_node& list, const std::string& prefix,
                 MetaLabels* labels) {
  int number = 0;
  for (const xml_node& item : list.children()) {
    labels->Add(absl::StrCat(prefix, "_", number++), item.text().get());
  }
}

void AddLogDelivery(const xml_node& cluster, MetaLabels* labels) {
  int number = 0;
  for (const xml_node& delivery : cluster.child("LogDeliveryConfigurations")) {
    const std::vector<std::string> parts = absl::StrSplit(kLogElements, '$');
    AddAwsElements(delivery, absl::StrJoin(parts, absl::StrCat(number++)),
                   "cache_cluster_log_delivery_configuration_", labels);
  }
}

void AddClusterLists(const xml_node& cluster, MetaLabels* labels) {
  AddLogDelivery(cluster, labels);
  std::vector<std::string> removed;
  for (const xml_node& id :
       cluster.child("PendingModifiedValues").child("CacheNodeIdsToRemove")) {
    removed.push_back(id.text().get());
  }
  labels->Add("cache_cluster_pending_modified_values_cache_node_ids_to_remove",
              absl::StrJoin(removed, ","));
  int number = 0;
  for (const xml_node& member : cluster.child("SecurityGroups")) {
    const std::string prefix = "cache_cluster_security_group_membership_";
    labels->Add(absl::StrCat(prefix, "id_", number),
                member.child("SecurityGroupId").text().get());
    labels->Add(absl::StrCat(prefix, "status_", number),
                member.child("Status").text().get());
    ++number;
  }
}

class ElastiCache {
 public:
  explicit ElastiCache(const ElastiCacheConfig& config)
      : names_(NamesOf(config.clusters)),
        api_(config, {.service = "elasticache", .version = "2015-02-02"}) {}

  absl::StatusOr<std::vector<TargetGroup>> Refresh(Fetcher& fetcher) {
    TargetGroup group;
    NARTHEX_ASSIGN_OR_RETURN(group.source, api_.Region(fetcher));
    NARTHEX_RETURN_IF_ERROR(base::Annotate(
        ForEach(fetcher, names_.serverless,
                {"DescribeServerlessCaches", "ServerlessCaches", "NextToken",
                 "&MaxResults=50", "ServerlessCacheName"},
                [&](const xml_node& cache) {
                  return AddServerless(fetcher, cache, &group);
                }),
        "failed to describe serverless caches"));
    NARTHEX_RETURN_IF_ERROR(base::Annotate(
        ForEach(fetcher, names_.clusters,
                {"DescribeCacheClusters", "CacheClusters", "Marker",
                 "&MaxRecords=100&ShowCacheNodeInfo=true", "CacheClusterId"},
                [&](const xml_node& cluster) {
                  return AddCluster(fetcher, cluster, &group);
                }),
        "failed to describe cache clusters"));
    return std::vector<TargetGroup>{std::move(group)};
  }

 private:
  /// How to ask for a list and for one of its items.
  struct List {
    std::string action;
    const char* name;
    const char* token;
    std::string form;
    const char* id;
  };

  /// Visits the items with those names, or all when there is none.
  template <typename Visit>
  absl::Status ForEach(Fetcher& fetcher, std::vector<std::string> names,
                       const List& list, const Visit& visit) {
    if (names.empty()) names.push_back("");
    for (const std::string& name : names) {
      std::string token;
      do {
        std::string form = list.form;
        if (!name.empty()) AddAwsParam(list.id, name, &form);
        if (!token.empty()) AddAwsParam(list.token, token, &form);
        NARTHEX_ASSIGN_OR_RETURN(const std::string body,
                                 api_.Query(fetcher, list.action, form));
        pugi::xml_document xml;
        xml_node result;
        NARTHEX_RETURN_IF_ERROR(
            ReadAwsAnswer(body, list.action, &xml, &result));
        for (const xml_node& item : result.child(list.name).children()) {
          NARTHEX_RETURN_IF_ERROR(visit(item));
        }
        token = result.child(list.token).text().get();
      } while (!token.empty());
    }
    return absl::OkStatus();
  }

  absl::Status AddTags(Fetcher& fetcher, const xml_node& resource,
                       const std::string& prefix, MetaLabels* labels) {
    const std::string arn = resource.child("ARN").text().get();
    if (arn.empty()) return absl::OkStatus();
    std::string form;
    AddAwsParam("ResourceName", arn, &form);
    const std::string action = "ListTagsForResource";
    NARTHEX_ASSIGN_OR_RETURN(const std::string body,
                             api_.Query(fetcher, action, form));
    pugi::xml_document xml;
    xml_node result;
    NARTHEX_RETURN_IF_ERROR(ReadAwsAnswer(body, action, &xml, &result));
    AddAwsTags(result.child("TagList"), prefix, labels);
    return absl::OkStatus();
  }

  absl::Status AddServerless(Fetcher& fetcher, const xml_node& cache,
                             TargetGroup* group) {
    MetaLabels labels("__meta_elasticache_");
    labels.Add("deployment_option", "serverless");
    AddAwsElements(cache, kServerlessElements, "serverless_cache_", &labels);
    AddNumbered(cache.child("SecurityGroupIds"),
                "serverless_cache_security_group_id", &labels);
    AddNumbered(cache.child("SubnetIds"), "serverless_cache_subnet_id",
                &labels);
    NARTHEX_RETURN_IF_ERROR(
        AddTags(fetcher, cache, "serverless_cache_tag_", &labels));
    AddEndpoint(cache.child("Endpoint"), &labels);
    group->targets.push_back(labels.Build());
    return absl::OkStatus();
  }

  absl::Status AddCluster(Fetcher& fetcher, const xml_node& cluster,
                          TargetGroup* group) {
    MetaLabels labels("__meta_elasticache_");
    labels.Add("deployment_option", "node");
    AddAwsElements(cluster, kClusterElements, "cache_cluster_", &labels);
    AddClusterLists(cluster, &labels);
    NARTHEX_RETURN_IF_ERROR(
        AddTags(fetcher, cluster, "cache_cluster_tag_", &labels));
    for (const xml_node& node : cluster.child("CacheNodes")) {
      MetaLabels of_node = labels;
      AddAwsElements(node, kNodeElements, "cache_cluster_node_", &of_node);
      AddEndpoint(node.child("Endpoint"), &of_node);
      group->targets.push_back(of_node.Build());
    }
    return absl::OkStatus();
  }

  const Names names_;
  AwsApi api_;
};

}  // namespace

absl::Status Decode(const yaml::Node& node, ElastiCacheConfig* config) {
  yaml::Decoder d(node);
  DecodeAwsClusters(d, config);
  return d.Done();
}

void Emit(const ElastiCacheConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  EmitAwsClusters(config, nullptr, out);
  http::EmitClientConfig(config.client, out);
  out->EndMap();
}

std::unique_ptr<Provider> MakeProvider(const ElastiCacheConfig& config,
                                       const ProviderContext& context) {
  auto cache = std::make_shared<ElastiCache>(config);
  return PollApi("elasticache", config, context,
                 [cache](Fetcher& fetcher) { return cache->Refresh(fetcher); });
}

}  // namespace narthex::discovery
