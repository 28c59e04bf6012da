#include "libs/discovery/aws.h"

#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/discovery/ec2.h"
#include "libs/discovery/ecs.h"
#include "libs/discovery/elasticache.h"
#include "libs/discovery/lightsail.h"
#include "libs/discovery/msk.h"
#include "libs/discovery/rds.h"
#include "libs/yaml/optional_fields.h"

namespace narthex::discovery {
namespace {

/// The config of the role's mechanism with all that both have.
template <typename Config>
Config ConfigOf(const AwsConfig& config) {
  Config out;
  const int port = config.port == 0 ? out.port : config.port;
  static_cast<AwsApiConfig&>(out) = config;
  out.port = port;
  if constexpr (requires { out.filters; }) out.filters = config.filters;
  if constexpr (requires { out.clusters; }) out.clusters = config.clusters;
  return out;
}

template <typename Config>
std::unique_ptr<Provider> MakeFor(const AwsConfig& config,
                                  const ProviderContext& context) {
  return MakeProvider(ConfigOf<Config>(config), context);
}

struct Role {
  const char* name;
  std::unique_ptr<Provider> (*make)(const AwsConfig&, const ProviderContext&);
};

constexpr Role kRoles[] = {
    {"ec2", MakeFor<Ec2Config>},
    {"ecs", MakeFor<EcsConfig>},
    {"elasticache", MakeFor<ElastiCacheConfig>},
    {"lightsail", MakeFor<LightsailConfig>},
    {"msk", MakeFor<MskConfig>},
    {"rds", MakeFor<RdsConfig>},
};

const Role* FindRole(const std::string& name) {
  for (const Role& role : kRoles) {
    if (role.name == name) return &role;
  }
  return nullptr;
}

}  // namespace

absl::Status Decode(const yaml::Node& node, AwsConfig* config) {
  yaml::Decoder d(node);
  d.Field("role", &config->role);
  DecodeAwsApi(d, config);
  d.Field("filters", &config->filters);
  d.Field("clusters", &config->clusters);
  if (FindRole(config->role) == nullptr) {
    d.Fail(absl::StrCat("unknown AWS SD role ", base::Quote(config->role)));
  }
  return d.Done();
}

void Emit(const AwsConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  out->Field("role", config.role);
  yaml::EmitText("region", config.region, out);
  yaml::EmitText("endpoint", config.endpoint, out);
  EmitAwsCredentials(config, out);
  yaml::EmitDuration("refresh_interval", config.refresh_interval_ms, out);
  if (config.port != 0) out->Field("port", std::int64_t{config.port});
  http::EmitClientConfig(config.client, out);
  if (!config.filters.empty()) EmitAwsFilters(config.filters, out);
  yaml::EmitList("clusters", config.clusters, out);
  out->EndMap();
}

std::unique_ptr<Provider> MakeProvider(const AwsConfig& config,
                                       const ProviderContext& context) {
  return FindRole(config.role)->make(config, context);
}

}  // namespace narthex::discovery
