#include "libs/discovery/aws.h"

#include "absl/strings/match.h"
#include "libs/discovery/ecs.h"
#include "libs/discovery/elasticache.h"
#include "libs/discovery/lightsail.h"
#include "libs/discovery/msk.h"
#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"
#include "libs/discovery/rds.h"

namespace narthex::discovery {
namespace {

/// Answers by the action of a request: the query's, or the target's.
class FakeAwsService {
 public:
  FakeAwsService() {
    server.Handle(
        "/", [this](const http::Request& request, http::Response& response) {
          std::string action(request.headers.Get("X-Amz-Target"));
          action = action.substr(action.find('.') + 1);
          if (action.empty())
            action = std::string(request.params.Get("Action"));
          base::MutexLock lock(mutex_);
          requests_[action].push_back(request);
          const auto it = answers_.find(action);
          if (it == answers_.end()) {
            response.Send(400, "text/plain",
                          R"({"__type": "x#UnknownOperationException"})");
          } else {
            response.Send(200, "text/plain", it->second(request));
          }
        });
  }

  using Answerer = std::function<std::string(const http::Request&)>;
  void Answer(const std::string& action, Answerer answer) {
    base::MutexLock lock(mutex_);
    answers_[action] = std::move(answer);
  }
  void Answer(const std::string& action, const std::string& body) {
    Answer(action, [body](const http::Request&) { return body; });
  }
  void Remove(const std::string& action) {
    base::MutexLock lock(mutex_);
    answers_.erase(action);
  }
  http::Request First(const std::string& action) {
    base::MutexLock lock(mutex_);
    const auto& all = requests_[action];
    return all.empty() ? http::Request() : all.front();
  }
  template <typename Config>
  Config Parse(const std::string& more = "") const {
    return ParseConfig<Config>(
        "{region: eu-1, access_key: k, secret_key: s, refresh_interval: 10ms, "
        "endpoint: '" +
        server.Url("/") + "'" + more + "}");
  }

  ProviderServer server;

 private:
  base::Mutex mutex_;
  std::map<std::string, Answerer> answers_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::vector<http::Request>> requests_
      ABSL_GUARDED_BY(mutex_);
};

TEST_CASE("lightsail's instances are found on all pages") {
  FakeAwsService aws;
  aws.Answer("GetInstances", [](const http::Request& request) -> std::string {
    if (absl::StrContains(request.body, "pageToken")) {
      return R"({"instances": [{"name": "b", "privateIpAddress": "10.0.0.2"},
                               {"name": "without an address"}]})";
    }
    return R"({"nextPageToken": "2", "instances": [{
        "name": "a", "privateIpAddress": "10.0.0.1", "blueprintId": "debian",
        "publicIpAddress": "1.2.3.4", "ipv6Addresses": ["2001:db8::1", "::2"],
        "bundleId": "nano", "supportCode": "c", "state": {"name": "running"},
        "location": {"availabilityZone": "eu-1a"},
        "tags": [{"key": "a b", "value": "v"}]}]})";
  });
  const auto run = RunProvider(aws.Parse<LightsailConfig>());
  const std::vector<std::string> wanted = {
      Printed("10.0.0.1:80", "__meta_lightsail_",
              {{"availability_zone", "eu-1a"},
               {"blueprint_id", "debian"},
               {"bundle_id", "nano"},
               {"instance_name", "a"},
               {"instance_state", "running"},
               {"instance_support_code", "c"},
               {"ipv6_addresses", ",2001:db8::1,::2,"},
               {"private_ip", "10.0.0.1"},
               {"public_ip", "1.2.3.4"},
               {"region", "eu-1"},
               {"tag_a_b", "v"}}),
      Printed("10.0.0.2:80", "__meta_lightsail_",
              {{"instance_name", "b"},
               {"private_ip", "10.0.0.2"},
               {"region", "eu-1"}})};
  CHECK(run->WaitFor(wanted));
  CHECK(run->sources() == std::set<std::string>{"eu-1"});
  const http::Request request = aws.First("GetInstances");
  CHECK(request.headers.Get("X-Amz-Target") ==
        "Lightsail_20161128.GetInstances");
  CHECK(request.headers.Get("Content-Type") == "application/x-amz-json-1.1");
  CHECK(absl::StrContains(
      request.headers.Get("Authorization"),
      "/eu-1/lightsail/aws4_request, "
      "SignedHeaders=content-type;host;x-amz-date;x-amz-target,"));
  aws.Remove("GetInstances");
  CHECK(run->WaitForFailure("lightsail"));
  CHECK(run->WaitFor(wanted));
}

/// The answers about one cluster with one service, a task with a network
/// interface of its own and one on the network of its host.
void AnswerEcs(FakeAwsService& ecs, FakeAwsService& ec2) {
  ecs.Answer("ListClusters", R"({"clusterArns": ["c-arn"]})");
  ecs.Answer("DescribeClusters",
             R"({"clusters": [{"clusterArn": "c-arn", "clusterName": "c",
                 "tags": [{"key": "k", "value": "of cluster"}]}]})");
  ecs.Answer("ListServices", R"({"serviceArns": ["s-arn"]})");
  ecs.Answer("DescribeServices",
             R"({"services": [{"serviceArn": "s-arn", "serviceName": "web",
                 "status": "ACTIVE",
                 "tags": [{"key": "k", "value": "of service"}]}]})");
  ecs.Answer("ListTasks", [](const http::Request& request) -> std::string {
    return absl::StrContains(request.body, "nextToken")
               ? R"({"taskArns": ["t2"]})"
               : R"({"taskArns": ["t1"], "nextToken": "x"})";
  });
  ecs.Answer("DescribeTasks", R"({"tasks": [
      {"taskArn": "t1", "group": "service:web", "launchType": "FARGATE",
       "lastStatus": "RUNNING", "desiredStatus": "RUNNING",
       "healthStatus": "HEALTHY", "availabilityZone": "eu-1a",
       "taskDefinitionArn": "td", "platformFamily": "Linux",
       "platformVersion": "1.4.0",
       "tags": [{"key": "k", "value": "of task"}],
       "attachments": [{"type": "ElasticNetworkInterface", "details": [
         {"name": "subnetId", "value": "sub-1"}, {"name": "x"},
         {"name": "networkInterfaceId", "value": "eni-1"},
         {"name": "privateIPv4Address", "value": "10.0.0.1"}]}]},
      {"taskArn": "t2", "launchType": "EC2", "containerInstanceArn": "ci-1"},
      {"taskArn": "t3", "containerInstanceArn": "unknown"}]})");
  ecs.Answer("DescribeContainerInstances", R"({"containerInstances": [
      {"containerInstanceArn": "ci-1", "ec2InstanceId": "i-1"}]})");
  ec2.Answer("DescribeInstances", R"(<DescribeInstancesResponse>
      <reservationSet><item><instancesSet><item>
        <instanceId>i-1</instanceId><privateIpAddress>10.0.0.9</privateIpAddress>
        <ipAddress>1.2.3.9</ipAddress><subnetId>sub-9</subnetId>
        <instanceType>t3</instanceType>
        <tagSet><item><key>k</key><value>of host</value></item></tagSet>
      </item></instancesSet></item></reservationSet>
      </DescribeInstancesResponse>)");
  ec2.Answer("DescribeNetworkInterfaces", R"(<DescribeNetworkInterfacesResponse>
      <networkInterfaceSet><item>
        <networkInterfaceId>eni-1</networkInterfaceId>
        <association><publicIp>1.2.3.1</publicIp></association>
      </item></networkInterfaceSet></DescribeNetworkInterfacesResponse>)");
}

TEST_CASE("tasks of ecs are found with what they refer to") {
  FakeAwsService ecs;
  FakeAwsService ec2;
  AnswerEcs(ecs, ec2);
  auto config = ecs.Parse<EcsConfig>(", port: 9100");
  config.ec2_endpoint = ec2.server.Url("/");
  const auto run = RunProvider(config);
  CHECK(run->WaitFor({Printed("10.0.0.1:9100", "__meta_ecs_",
                              {{"availability_zone", "eu-1a"},
                               {"cluster", "c"},
                               {"cluster_arn", "c-arn"},
                               {"desired_status", "RUNNING"},
                               {"health_status", "HEALTHY"},
                               {"ip_address", "10.0.0.1"},
                               {"last_status", "RUNNING"},
                               {"launch_type", "FARGATE"},
                               {"network_mode", "awsvpc"},
                               {"platform_family", "Linux"},
                               {"platform_version", "1.4.0"},
                               {"public_ip", "1.2.3.1"},
                               {"region", "eu-1"},
                               {"service", "web"},
                               {"service_arn", "s-arn"},
                               {"service_status", "ACTIVE"},
                               {"subnet_id", "sub-1"},
                               {"tag_cluster_k", "of cluster"},
                               {"tag_service_k", "of service"},
                               {"tag_task_k", "of task"},
                               {"task_arn", "t1"},
                               {"task_definition", "td"},
                               {"task_group", "service:web"}}),
                      Printed("10.0.0.9:9100", "__meta_ecs_",
                              {{"cluster", "c"},
                               {"cluster_arn", "c-arn"},
                               {"container_instance_arn", "ci-1"},
                               {"ec2_instance_id", "i-1"},
                               {"ec2_instance_private_ip", "10.0.0.9"},
                               {"ec2_instance_public_ip", "1.2.3.9"},
                               {"ec2_instance_type", "t3"},
                               {"ip_address", "10.0.0.9"},
                               {"launch_type", "EC2"},
                               {"network_mode", "bridge"},
                               {"public_ip", "1.2.3.9"},
                               {"region", "eu-1"},
                               {"subnet_id", "sub-9"},
                               {"tag_cluster_k", "of cluster"},
                               {"tag_ec2_k", "of host"},
                               {"task_arn", "t2"}})}));
  CHECK(ecs.First("DescribeTasks").body ==
        R"({"cluster":"c-arn","include":["TAGS"],"tasks":["t1","t2"]})");
}

TEST_CASE("nodes of msk are found, one target for each endpoint") {
  ProviderServer server;
  const std::string arn = "arn%3Ac%2F1";
  server.Handle("/api/v2/clusters", [](const http::Request& request,
                                       http::Response& response) {
    CHECK(request.params.Get("clusterTypeFilter") == "PROVISIONED");
    response.Send(200, "application/json", R"({"clusterInfoList": [{
        "clusterArn": "arn:c/1", "clusterName": "c", "state": "ACTIVE",
        "clusterType": "PROVISIONED", "currentVersion": "v",
        "tags": {"a b": "t"}, "provisioned": {
          "openMonitoring": {"prometheus": {
            "jmxExporter": {"enabledInBroker": true},
            "nodeExporter": {"enabledInBroker": false}}},
          "currentBrokerSoftwareInfo": {"kafkaVersion": "3.6",
            "configurationArn": "conf", "configurationRevision": 2}}}]})");
  });
  server.Answer("/v1/clusters/arn:c/1/nodes", R"({"nodeInfoList": [
      {"nodeARN": "n1", "addedToClusterTime": "2024", "instanceType": "m5",
       "brokerNodeInfo": {"brokerId": 1.0, "attachedENIId": "eni",
         "clientSubnet": "sub", "clientVpcIpAddress": "10.0.0.1",
         "endpoints": ["b1", "b2"]}},
      {"nodeARN": "n2", "controllerNodeInfo": {"endpoints": ["c1"]}},
      {"nodeARN": "n3"}]})");
  const std::map<std::string, std::string> cluster = {
      {"cluster_arn", "arn:c/1"},
      {"cluster_configuration_arn", "conf"},
      {"cluster_configuration_revision", "2"},
      {"cluster_jmx_exporter_enabled", "true"},
      {"cluster_kafka_version", "3.6"},
      {"cluster_name", "c"},
      {"cluster_state", "ACTIVE"},
      {"cluster_tag_a_b", "t"},
      {"cluster_type", "PROVISIONED"},
      {"cluster_version", "v"}};
  const auto broker = [&](const std::string& address, const char* index) {
    auto labels = cluster;
    labels.merge(std::map<std::string, std::string>{
        {"broker_client_subnet", "sub"},
        {"broker_client_vpc_ip", "10.0.0.1"},
        {"broker_endpoint_index", index},
        {"broker_id", "1"},
        {"broker_node_exporter_enabled", "false"},
        {"node_added_time", "2024"},
        {"node_arn", "n1"},
        {"node_attached_eni", "eni"},
        {"node_instance_type", "m5"},
        {"node_type", "BROKER"}});
    return Printed(address, "__meta_msk_", labels);
  };
  auto controller = cluster;
  controller.merge(
      std::map<std::string, std::string>{{"controller_endpoint_index", "0"},
                                         {"node_arn", "n2"},
                                         {"node_type", "CONTROLLER"}});
  const std::string common =
      "{region: r, access_key: k, secret_key: s, refresh_interval: 10ms, "
      "port: 11001, endpoint: '" +
      server.Url("") + "'";
  const auto run = RunProvider(ParseConfig<MskConfig>(common + "}"));
  CHECK(run->WaitFor({broker("b1:11001", "0"), broker("b2:11001", "1"),
                      Printed("c1:11001", "__meta_msk_", controller)}));
  CHECK(absl::StrContains(
      server.Last("/api/v2/clusters").headers.Get("Authorization"),
      "/r/kafka/aws4_request, SignedHeaders=host;x-amz-date,"));

  server.Answer("/api/v2/clusters/arn:c/1",
                R"({"clusterInfo": {"clusterType": "SERVERLESS"}})");
  const auto named =
      RunProvider(ParseConfig<MskConfig>(common + ", clusters: ['arn:c/1']}"));
  CHECK(
      named->WaitForCount("prometheus_sd_refresh_duration_seconds_count"
                          "{mechanism=\"msk\",config=\"j\"}",
                          1));
  CHECK(named->WaitFor(ProviderRun::Targets{}));
  CHECK(server.Last("/api/v2/clusters/arn:c/1").raw_path ==
        "/api/v2/clusters/" + arn);
}

TEST_CASE("instances of rds are found with their clusters") {
  FakeAwsService aws;
  aws.Answer("DescribeDBClusters", [](const http::Request& request) {
    return std::string(
               "<DescribeDBClustersResponse>"
               "<DescribeDBClustersResult>") +
           (request.params.Has("Marker") ? "" : "<Marker>m</Marker>") +
           "<DBClusters>" + (request.params.Has("Marker") ? "" : R"(<DBCluster>
         <DBClusterArn>c-arn</DBClusterArn><Engine>aurora</Engine>
         <DBClusterIdentifier>c</DBClusterIdentifier><MultiAZ>true</MultiAZ>
         <ClusterCreateTime>2024-01-02T03:04:05.678Z</ClusterCreateTime>
         <IAMDatabaseAuthenticationEnabled>false</IAMDatabaseAuthenticationEnabled>
         <ServerlessV2PlatformVersion>3</ServerlessV2PlatformVersion>
         <DBClusterMembers><DBClusterMember><IsClusterWriter>true
           </IsClusterWriter><DBInstanceIdentifier>i</DBInstanceIdentifier>
         </DBClusterMember></DBClusterMembers>
         <TagList><Tag><Key>a b</Key><Value>t</Value></Tag></TagList>
         </DBCluster>)") +
           "</DBClusters></DescribeDBClustersResult>"
           "</DescribeDBClustersResponse>";
  });
  aws.Answer("DescribeDBInstances", R"(<DescribeDBInstancesResponse>
      <DescribeDBInstancesResult><DBInstances>
      <DBInstance><DBInstanceArn>i-arn</DBInstanceArn>
        <DBInstanceIdentifier>i</DBInstanceIdentifier>
        <Endpoint><Address>i.aws</Address><Port>3306</Port></Endpoint>
        <DBSubnetGroup><DBSubnetGroupName>sub</DBSubnetGroupName></DBSubnetGroup>
        <CACertificateIdentifier>ca</CACertificateIdentifier>
        <PerformanceInsightsKMSKeyId>kms</PerformanceInsightsKMSKeyId>
        <TagList><Tag><Key>x</Key><Value>y</Value></Tag></TagList>
      </DBInstance></DBInstances></DescribeDBInstancesResult>
      </DescribeDBInstancesResponse>)");
  const auto run = RunProvider(aws.Parse<RdsConfig>(
      ", port: 9104, filters: [{name: engine, values: [mysql]}]"));
  CHECK(run->WaitFor(
      Printed("i.aws:9104", "__meta_rds_",
              {{"cluster_arn", "c-arn"},
               {"cluster_cluster_create_time", "2024-01-02T03:04:05Z"},
               {"cluster_engine", "aurora"},
               {"cluster_iam_database_authentication_enabled", "false"},
               {"cluster_identifier", "c"},
               {"cluster_multi_az", "true"},
               {"cluster_serverless_v2_platform_version", "3"},
               {"cluster_tag_a_b", "t"},
               {"instance_arn", "i-arn"},
               {"instance_ca_certificate_identifier", "ca"},
               {"instance_endpoint_address", "i.aws"},
               {"instance_endpoint_port", "3306"},
               {"instance_identifier", "i"},
               {"instance_is_cluster_writer", "true"},
               {"instance_performance_insights_kms_key_id", "kms"},
               {"instance_subnet_group", "sub"},
               {"instance_tag_x", "y"}})));
  const http::Params params = aws.First("DescribeDBInstances").params;
  CHECK(params.Get("Filters.Filter.1.Name") == "db-cluster-id");
  CHECK(params.Get("Filters.Filter.1.Values.Value.1") == "c-arn");
  CHECK(params.Get("Filters.Filter.2.Values.Value.1") == "mysql");
}

TEST_CASE("caches of elasticache are found, serverless and by their nodes") {
  FakeAwsService aws;
  aws.Answer("DescribeServerlessCaches", R"(<DescribeServerlessCachesResponse>
      <DescribeServerlessCachesResult><ServerlessCaches><member>
        <ARN>arn:s</ARN><ServerlessCacheName>s</ServerlessCacheName>
        <Endpoint><Address>s.aws</Address><Port>6379</Port></Endpoint>
        <ReaderEndpoint><Address>r.aws</Address></ReaderEndpoint>
        <SecurityGroupIds><SecurityGroupId>g0</SecurityGroupId>
          <SecurityGroupId>g1</SecurityGroupId></SecurityGroupIds>
        <CacheUsageLimits><DataStorage><Maximum>5</Maximum><Unit>GB</Unit>
          </DataStorage></CacheUsageLimits>
      </member></ServerlessCaches></DescribeServerlessCachesResult>
      </DescribeServerlessCachesResponse>)");
  aws.Answer("DescribeCacheClusters", R"(<DescribeCacheClustersResponse>
      <DescribeCacheClustersResult><CacheClusters><CacheCluster>
        <ARN>arn:c</ARN><CacheClusterId>c</CacheClusterId>
        <CacheParameterGroup>
          <CacheParameterGroupName>p</CacheParameterGroupName>
        </CacheParameterGroup>
        <SecurityGroups><member><SecurityGroupId>g</SecurityGroupId>
          <Status>active</Status></member></SecurityGroups>
        <LogDeliveryConfigurations><LogDeliveryConfiguration>
          <LogType>slow</LogType><DestinationDetails><CloudWatchLogsDetails>
          <LogGroup>lg</LogGroup></CloudWatchLogsDetails></DestinationDetails>
          </LogDeliveryConfiguration></LogDeliveryConfigurations>
        <PendingModifiedValues><NumCacheNodes>3</NumCacheNodes>
          <CacheNodeIdsToRemove><CacheNodeId>1</CacheNodeId>
          <CacheNodeId>2</CacheNodeId></CacheNodeIdsToRemove>
          </PendingModifiedValues>
        <CacheNodes><CacheNode><CacheNodeId>0001</CacheNodeId>
          <Endpoint><Address>n.aws</Address><Port>6380</Port></Endpoint>
          </CacheNode></CacheNodes>
      </CacheCluster></CacheClusters></DescribeCacheClustersResult>
      </DescribeCacheClustersResponse>)");
  aws.Answer("ListTagsForResource", R"(<ListTagsForResourceResponse>
      <ListTagsForResourceResult><TagList><Tag><Key>k</Key><Value>v</Value>
      </Tag></TagList></ListTagsForResourceResult>
      </ListTagsForResourceResponse>)");
  const auto run = RunProvider(aws.Parse<ElastiCacheConfig>());
  const std::string c = "cache_cluster_";
  const std::string s = "serverless_cache_";
  CHECK(run->WaitFor(
      {Printed("n.aws:6380", "__meta_elasticache_",
               {{"deployment_option", "node"},
                {c + "arn", "arn:c"},
                {c + "cache_cluster_id", "c"},
                {c + "cache_parameter_group", "p"},
                {c + "log_delivery_configuration_log_group_0", "lg"},
                {c + "log_delivery_configuration_log_type_0", "slow"},
                {c + "node_endpoint_address", "n.aws"},
                {c + "node_endpoint_port", "6380"},
                {c + "node_id", "0001"},
                {c + "pending_modified_values_cache_node_ids_to_remove", "1,2"},
                {c + "pending_modified_values_num_cache_nodes", "3"},
                {c + "security_group_membership_id_0", "g"},
                {c + "security_group_membership_status_0", "active"},
                {c + "tag_k", "v"}}),
       Printed("s.aws:6379", "__meta_elasticache_",
               {{"deployment_option", "serverless"},
                {s + "arn", "arn:s"},
                {s + "cache_usage_limit_data_storage_maximum", "5"},
                {s + "cache_usage_limit_data_storage_unit", "GB"},
                {s + "endpoint_address", "s.aws"},
                {s + "endpoint_port", "6379"},
                {s + "endpoint_reader_address", "r.aws"},
                {s + "name", "s"},
                {s + "security_group_id_0", "g0"},
                {s + "security_group_id_1", "g1"},
                {s + "tag_k", "v"}})}));
  const auto named = RunProvider(aws.Parse<ElastiCacheConfig>(
      ", clusters: ['arn:aws:elasticache:r:1:serverlesscache:mine', "
      "'arn:aws:elasticache:r:1:replicationgroup:group', bad]"));
  CHECK(named->WaitUntil(
      [&] {
        return named->CountOf(
                   "prometheus_sd_refresh_duration_seconds_count"
                   "{mechanism=\"elasticache\",config=\"j\"}") > 0;
      },
      [] { return "a refresh"; }));
}

TEST_CASE("aws discovery is that of its role") {
  FakeAwsService aws;
  aws.Answer("GetInstances", R"({"instances": [
      {"name": "a", "privateIpAddress": "10.0.0.1"}]})");
  const auto run =
      RunProvider(aws.Parse<AwsConfig>(", role: lightsail, port: 9100"));
  CHECK(run->WaitFor(Printed("10.0.0.1:9100", "__meta_lightsail_",
                             {{"instance_name", "a"},
                              {"private_ip", "10.0.0.1"},
                              {"region", "eu-1"}})));
}

TEST_CASE("configs of aws are checked and printed") {
  CHECK(PrintedConfig(ParseConfig<LightsailConfig>(
            "{region: r, access_key: a, secret_key: s}")) ==
        "endpoint: \"\"\nregion: r\naccess_key: a\nsecret_key: <secret>\n"
        "refresh_interval: 1m\nport: 80\nfollow_redirects: true\n"
        "enable_http2: true\n");
  CHECK(PrintedConfig(ParseConfig<AwsConfig>(
            "{role: rds, clusters: [c], filters: [{name: x, values: [v]}]}")) ==
        "role: rds\nrefresh_interval: 1m\nfollow_redirects: true\n"
        "enable_http2: true\nfilters:\n- name: x\n  values:\n  - v\n"
        "clusters:\n- c\n");
  CHECK(PrintedConfig(ParseConfig<EcsConfig>("{region: r}")) ==
        "region: r\nendpoint: \"\"\nport: 80\nrefresh_interval: 1m\n"
        "request_concurrency: 20\nfollow_redirects: true\n"
        "enable_http2: true\n");
  CHECK_THAT(ConfigError<AwsConfig>("{role: s3}"),
             Catch::EndsWith("unknown AWS SD role \"s3\""));
  CHECK_THAT(ConfigError<AwsConfig>("{}"),
             Catch::EndsWith("unknown AWS SD role \"\""));
}

}  // namespace
}  // namespace narthex::discovery
