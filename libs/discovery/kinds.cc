#include "libs/discovery/kinds.h"

#include "libs/base/status.h"
#include "libs/discovery/file.h"
#include "libs/discovery/http.h"

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
      {"consul", nullptr},
      {"digitalocean", nullptr},
      {"dns", nullptr},
      {"docker", nullptr},
      {"dockerswarm", nullptr},
      {"ec2", nullptr},
      {"eureka", nullptr},
      {"file", DecodeAs<FileConfig>},
      {"gce", nullptr},
      {"hetzner", nullptr},
      {"http", DecodeAs<HttpConfig>},
      {"ionos", nullptr},
      {"kubernetes", nullptr},
      {"kuma", nullptr},
      {"lightsail", nullptr},
      {"linode", nullptr},
      {"marathon", nullptr},
      {"nerve", nullptr},
      {"nomad", nullptr},
      {"oci", nullptr},
      {"openstack", nullptr},
      {"outscale", nullptr},
      {"ovhcloud", nullptr},
      {"puppetdb", nullptr},
      {"scaleway", nullptr},
      {"serverset", nullptr},
      {"stackit", nullptr},
      {"triton", nullptr},
      {"uyuni", nullptr},
      {"vultr", nullptr},
  };
  return kinds;
}

}  // namespace narthex::discovery
