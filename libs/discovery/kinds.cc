#include "libs/discovery/kinds.h"

#include "libs/base/status.h"
#include "libs/discovery/aws.h"
#include "libs/discovery/azure.h"
#include "libs/discovery/consul.h"
#include "libs/discovery/digitalocean.h"
#include "libs/discovery/dns.h"
#include "libs/discovery/docker.h"
#include "libs/discovery/dockerswarm.h"
#include "libs/discovery/ec2.h"
#include "libs/discovery/ecs.h"
#include "libs/discovery/elasticache.h"
#include "libs/discovery/eureka.h"
#include "libs/discovery/file.h"
#include "libs/discovery/gce.h"
#include "libs/discovery/hetzner.h"
#include "libs/discovery/http.h"
#include "libs/discovery/ionos.h"
#include "libs/discovery/kubernetes.h"
#include "libs/discovery/kuma.h"
#include "libs/discovery/lightsail.h"
#include "libs/discovery/linode.h"
#include "libs/discovery/marathon.h"
#include "libs/discovery/msk.h"
#include "libs/discovery/nomad.h"
#include "libs/discovery/oci.h"
#include "libs/discovery/openstack.h"
#include "libs/discovery/outscale.h"
#include "libs/discovery/ovhcloud.h"
#include "libs/discovery/puppetdb.h"
#include "libs/discovery/rds.h"
#include "libs/discovery/scaleway.h"
#include "libs/discovery/stackit.h"
#include "libs/discovery/triton.h"
#include "libs/discovery/uyuni.h"
#include "libs/discovery/vultr.h"
#include "libs/discovery/zookeeper.h"

namespace narthex::discovery {
namespace {

template <typename Config>
absl::StatusOr<ProviderConfig> DecodeAs(const yaml::Node& node) {
  Config config;
  NARTHEX_RETURN_IF_ERROR(Decode(node, &config));
  return ProviderConfig::Of(std::move(config));
}

}  // namespace

const std::vector<Kind>& Kinds() {
  static const std::vector<Kind> kinds{
      {"aws", DecodeAs<AwsConfig>},
      {"azure", DecodeAs<AzureConfig>},
      {"consul", DecodeAs<ConsulConfig>},
      {"digitalocean", DecodeAs<DigitalOceanConfig>},
      {"dns", DecodeAs<DnsConfig>},
      {"docker", DecodeAs<DockerConfig>},
      {"dockerswarm", DecodeAs<DockerSwarmConfig>},
      {"ec2", DecodeAs<Ec2Config>},
      {"ecs", DecodeAs<EcsConfig>},
      {"elasticache", DecodeAs<ElastiCacheConfig>},
      {"eureka", DecodeAs<EurekaConfig>},
      {"file", DecodeAs<FileConfig>},
      {"gce", DecodeAs<GceConfig>},
      {"hetzner", DecodeAs<HetznerConfig>},
      {"http", DecodeAs<HttpConfig>},
      {"ionos", DecodeAs<IonosConfig>},
      {"kubernetes", DecodeAs<KubernetesConfig>},
      {"kuma", DecodeAs<KumaConfig>},
      {"lightsail", DecodeAs<LightsailConfig>},
      {"linode", DecodeAs<LinodeConfig>},
      {"marathon", DecodeAs<MarathonConfig>},
      {"msk", DecodeAs<MskConfig>},
      {"nerve", DecodeAs<NerveConfig>},
      {"nomad", DecodeAs<NomadConfig>},
      {"oci", DecodeAs<OciConfig>},
      {"openstack", DecodeAs<OpenstackConfig>},
      {"outscale", DecodeAs<OutscaleConfig>},
      {"ovhcloud", DecodeAs<OvhCloudConfig>},
      {"puppetdb", DecodeAs<PuppetDbConfig>},
      {"rds", DecodeAs<RdsConfig>},
      {"scaleway", DecodeAs<ScalewayConfig>},
      {"serverset", DecodeAs<ServersetConfig>},
      {"stackit", DecodeAs<StackitConfig>},
      {"triton", DecodeAs<TritonConfig>},
      {"uyuni", DecodeAs<UyuniConfig>},
      {"vultr", DecodeAs<VultrConfig>},
  };
  return kinds;
}

}  // namespace narthex::discovery
