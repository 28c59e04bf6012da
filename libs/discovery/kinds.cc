#include "libs/discovery/kinds.h"

#include "libs/base/status.h"
#include "libs/discovery/consul.h"
#include "libs/discovery/dns.h"
#include "libs/discovery/docker.h"
#include "libs/discovery/dockerswarm.h"
#include "libs/discovery/eureka.h"
#include "libs/discovery/file.h"
#include "libs/discovery/http.h"
#include "libs/discovery/kubernetes.h"
#include "libs/discovery/nomad.h"
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
      {"aws", nullptr},
      {"azure", nullptr},
      {"consul", DecodeAs<ConsulConfig>},
      {"digitalocean", nullptr},
      {"dns", DecodeAs<DnsConfig>},
      {"docker", DecodeAs<DockerConfig>},
      {"dockerswarm", DecodeAs<DockerSwarmConfig>},
      {"ec2", nullptr},
      {"eureka", DecodeAs<EurekaConfig>},
      {"file", DecodeAs<FileConfig>},
      {"gce", nullptr},
      {"hetzner", nullptr},
      {"http", DecodeAs<HttpConfig>},
      {"ionos", nullptr},
      {"kubernetes", DecodeAs<KubernetesConfig>},
      {"kuma", nullptr},
      {"lightsail", nullptr},
      {"linode", nullptr},
      {"marathon", nullptr},
      {"nerve", DecodeAs<NerveConfig>},
      {"nomad", DecodeAs<NomadConfig>},
      {"oci", nullptr},
      {"openstack", nullptr},
      {"outscale", nullptr},
      {"ovhcloud", nullptr},
      {"puppetdb", nullptr},
      {"scaleway", nullptr},
      {"serverset", DecodeAs<ServersetConfig>},
      {"stackit", nullptr},
      {"triton", nullptr},
      {"uyuni", nullptr},
      {"vultr", nullptr},
  };
  return kinds;
}

}  // namespace narthex::discovery
