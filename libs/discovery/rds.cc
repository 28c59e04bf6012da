#include "libs/discovery/rds.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/discovery/aws_xml.h"

namespace narthex::discovery {
namespace {

using pugi::xml_node;

constexpr char kClusterElements[] =
    "DBClusterArn=arn DBClusterIdentifier=identifier "
    "ActivityStreamKinesisStreamName ActivityStreamKmsKeyId "
    "ActivityStreamMode ActivityStreamStatus AllocatedStorage "
    "AutoMinorVersionUpgrade AutomaticRestartTime AwsBackupRecoveryPointArn "
    "BacktrackConsumedChangeRecords BacktrackWindow BackupRetentionPeriod "
    "Capacity CharacterSetName CloneGroupId ClusterCreateTime "
    "ClusterScalabilityType CopyTagsToSnapshot CrossAccountClone "
    "DBClusterInstanceClass=instance_class "
    "DBClusterParameterGroup=parameter_group DBSubnetGroup=subnet_group "
    "DBSystemId DatabaseInsightsMode DatabaseName "
    "DbClusterResourceId=resource_id DeletionProtection EarliestBacktrackTime "
    "EarliestRestorableTime Endpoint Engine EngineLifecycleSupport EngineMode "
    "EngineVersion GlobalClusterIdentifier GlobalWriteForwardingRequested "
    "GlobalWriteForwardingStatus HostedZoneId HttpEndpointEnabled "
    "IAMDatabaseAuthenticationEnabled IOOptimizedNextAllowedModificationTime "
    "Iops KmsKeyId LatestRestorableTime LocalWriteForwardingStatus "
    "MasterUsername MonitoringInterval MonitoringRoleArn MultiAZ NetworkType "
    "PercentProgress PerformanceInsightsEnabled PerformanceInsightsKMSKeyId "
    "PerformanceInsightsRetentionPeriod Port PreferredBackupWindow "
    "PreferredMaintenanceWindow PubliclyAccessible ReaderEndpoint "
    "ReplicationSourceIdentifier ServerlessV2PlatformVersion Status "
    "StorageEncrypted StorageEncryptionType StorageThroughput StorageType "
    "UpgradeRolloutOrder";

constexpr char kInstanceElements[] =
    "DBInstanceArn=arn DBInstanceIdentifier=identifier "
    "ActivityStreamEngineNativeAuditFieldsIncluded "
    "ActivityStreamKinesisStreamName ActivityStreamKmsKeyId "
    "ActivityStreamMode ActivityStreamPolicyStatus ActivityStreamStatus "
    "AllocatedStorage AutoMinorVersionUpgrade AutomaticRestartTime "
    "AutomationMode AvailabilityZone AwsBackupRecoveryPointArn "
    "BackupRetentionPeriod BackupTarget CACertificateIdentifier "
    "CharacterSetName CopyTagsToSnapshot CustomIamInstanceProfile "
    "CustomerOwnedIpEnabled DBClusterIdentifier DBInstanceClass=class "
    "DBInstanceStatus=status DBName DbInstancePort=port "
    "DbiResourceId=resource_id DedicatedLogVolume DeletionProtection "
    "Endpoint/Address Endpoint/HostedZoneId Endpoint/Port Engine "
    "EngineLifecycleSupport EngineVersion EnhancedMonitoringResourceArn "
    "IAMDatabaseAuthenticationEnabled InstanceCreateTime Iops "
    "IsStorageConfigUpgradeAvailable KmsKeyId LatestRestorableTime "
    "LicenseModel ListenerEndpoint/Address ListenerEndpoint/HostedZoneId "
    "ListenerEndpoint/Port MasterUsername MaxAllocatedStorage "
    "MonitoringInterval MonitoringRoleArn MultiAZ MultiTenant "
    "NcharCharacterSetName NetworkType PercentProgress "
    "PerformanceInsightsEnabled PerformanceInsightsKMSKeyId "
    "PerformanceInsightsRetentionPeriod PreferredBackupWindow "
    "PreferredMaintenanceWindow PromotionTier PubliclyAccessible "
    "ReadReplicaSourceDBClusterIdentifier "
    "ReadReplicaSourceDBInstanceIdentifier ReplicaMode "
    "ResumeFullAutomationModeTime SecondaryAvailabilityZone StorageEncrypted "
    "StorageEncryptionType StorageThroughput StorageType StorageVolumeStatus "
    "TdeCredentialArn Timezone UpgradeRolloutOrder "
    "DBSubnetGroup/DBSubnetGroupName=subnet_group DBSystemId "
    "DatabaseInsightsMode";

class Rds {
 public:
  explicit Rds(const RdsConfig& config)
      : config_(config),
        api_(config, {.service = "rds", .version = "2014-10-31"}) {}

  absl::StatusOr<std::vector<TargetGroup>> Refresh(Fetcher& fetcher) {
    TargetGroup group;
    NARTHEX_ASSIGN_OR_RETURN(group.source, api_.Region(fetcher));
    std::vector<std::string> wanted = config_.clusters;
    if (wanted.empty()) wanted.push_back("");
    for (const std::string& arn : wanted) {
      std::string form = "&MaxRecords=100";
      if (!arn.empty()) AddAwsParam("DBClusterIdentifier", arn, &form);
      NARTHEX_RETURN_IF_ERROR(base::Annotate(
          ForEach(fetcher, "DescribeDBClusters", "DBClusters", form,
                  [&](const xml_node& cluster) {
                    return AddCluster(fetcher, cluster, &group);
                  }),
          "error describing DB clusters"));
    }
    return std::vector<TargetGroup>{std::move(group)};
  }

 private:
  /// Visits the items of a list on all pages.
  template <typename Visit>
  absl::Status ForEach(Fetcher& fetcher, const std::string& action,
                       const char* list, const std::string& form,
                       const Visit& visit) {
    std::string marker;
    do {
      std::string page = form;
      if (!marker.empty()) AddAwsParam("Marker", marker, &page);
      NARTHEX_ASSIGN_OR_RETURN(const std::string body,
                               api_.Query(fetcher, action, page));
      pugi::xml_document xml;
      xml_node result;
      NARTHEX_RETURN_IF_ERROR(ReadAwsAnswer(body, action, &xml, &result));
      for (const xml_node& item : result.child(list).children()) {
        NARTHEX_RETURN_IF_ERROR(visit(item));
      }
      marker = result.child("Marker").text().get();
    } while (!marker.empty());
    return absl::OkStatus();
  }

  absl::Status AddCluster(Fetcher& fetcher, const xml_node& cluster,
                          TargetGroup* group) {
    const std::string arn = cluster.child("DBClusterArn").text().get();
    if (arn.empty()) return absl::OkStatus();
    std::vector<AwsFilter> filters = {{"db-cluster-id", {arn}}};
    filters.insert(filters.end(), config_.filters.begin(),
                   config_.filters.end());
    std::string form = "&MaxRecords=100";
    AddAwsFilters(filters, "Filters.Filter", "Values.Value", &form);
    MetaLabels labels("__meta_rds_");
    AddAwsElements(cluster, kClusterElements, "cluster_", &labels);
    AddAwsTags(cluster.child("TagList"), "cluster_tag_", &labels);
    std::map<std::string, bool> is_writer;
    for (const xml_node& member : cluster.child("DBClusterMembers")) {
      is_writer[member.child("DBInstanceIdentifier").text().get()] =
          member.child("IsClusterWriter").text().as_bool();
    }
    return base::Annotate(
        ForEach(fetcher, "DescribeDBInstances", "DBInstances", form,
                [&](const xml_node& instance) {
                  AddInstance(instance, labels, is_writer, group);
                  return absl::OkStatus();
                }),
        absl::StrCat("failed to describe DB instances for cluster ARN ", arn));
  }

  void AddInstance(const xml_node& instance, MetaLabels labels,
                   const std::map<std::string, bool>& is_writer,
                   TargetGroup* group) const {
    AddAwsElements(instance, kInstanceElements, "instance_", &labels);
    AddAwsTags(instance.child("TagList"), "instance_tag_", &labels);
    const auto member =
        is_writer.find(instance.child("DBInstanceIdentifier").text().get());
    if (member != is_writer.end()) {
      labels.AddFlag("instance_is_cluster_writer", member->second);
    }
    const xml_node endpoint = instance.child("Endpoint");
    if (endpoint.child("Address") && endpoint.child("Port")) {
      labels.Address(
          JoinHostPort(endpoint.child("Address").text().get(), config_.port));
    }
    group->targets.push_back(labels.Build());
  }

  const RdsConfig config_;
  AwsApi api_;
};

}  // namespace

absl::Status Decode(const yaml::Node& node, RdsConfig* config) {
  yaml::Decoder d(node);
  DecodeAwsClusters(d, config);
  d.Field("filters", &config->filters);
  return d.Done();
}

void Emit(const RdsConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  EmitAwsClusters(config, &config.filters, out);
  http::EmitClientConfig(config.client, out);
  out->EndMap();
}

std::unique_ptr<Provider> MakeProvider(const RdsConfig& config,
                                       const ProviderContext& context) {
  auto rds = std::make_shared<Rds>(config);
  return PollApi("rds", config, context,
                 [rds](Fetcher& fetcher) { return rds->Refresh(fetcher); });
}

}  // namespace narthex::discovery
