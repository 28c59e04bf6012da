#include "libs/discovery/zookeeper.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/discovery/json.h"
#include "libs/discovery/meta_labels.h"
#include "libs/discovery/zookeeper_provider.h"

namespace narthex::discovery {
namespace {

absl::Status DecodeZookeeper(const yaml::Node& node, absl::string_view kind,
                             ZookeeperConfig* config) {
  yaml::Decoder d(node);
  d.Field("servers", &config->servers);
  d.Field("paths", &config->paths);
  d.Duration("timeout", &config->timeout_ms);
  const std::string what = absl::StrCat(kind, " SD config ");
  if (config->servers.empty()) {
    d.Fail(absl::StrCat(what, "must contain at least one Zookeeper server"));
  }
  if (config->paths.empty()) {
    d.Fail(absl::StrCat(what, "must contain at least one path"));
  }
  for (const std::string& path : config->paths) {
    if (!absl::StartsWith(path, "/")) {
      d.Fail(absl::StrCat(what, "paths must begin with '/': ", path));
    }
  }
  return d.Done();
}

/// The field of that name in whatever case, as Go matches them.
const Json& ChildOfAnyCase(const Json& object, absl::string_view name) {
  for (const auto& [key, value] : object.members()) {
    if (absl::EqualsIgnoreCase(key, name)) return value;
  }
  return Child(object, "");
}

absl::StatusOr<Json> ParseMember(const std::string& data) {
  NARTHEX_ASSIGN_OR_RETURN(Json member, ParseJson(data));
  if (!member.is_map()) {
    return absl::InvalidArgumentError("expected a map");
  }
  return member;
}

absl::StatusOr<std::string> TextField(const Json& object, const char* name) {
  const Json& value = ChildOfAnyCase(object, name);
  if (value.is_null() || value.is_text()) return value.text();
  return absl::InvalidArgumentError(absl::StrCat(name, ": expected a string"));
}

absl::StatusOr<std::int64_t> IntegerField(const Json& object,
                                          const char* name) {
  const Json& value = ChildOfAnyCase(object, name);
  if (value.is_null()) return 0;
  if (value.is_integer()) return value.integer();
  return absl::InvalidArgumentError(
      absl::StrCat(name, ": expected an integer"));
}

struct Endpoint {
  std::string host;
  std::int64_t port = 0;
};

absl::StatusOr<Endpoint> ParseEndpoint(const Json& object) {
  Endpoint endpoint;
  if (object.is_null()) return endpoint;
  if (!object.is_map()) {
    return absl::InvalidArgumentError("endpoint: expected a map");
  }
  NARTHEX_ASSIGN_OR_RETURN(endpoint.host, TextField(object, "host"));
  NARTHEX_ASSIGN_OR_RETURN(endpoint.port, IntegerField(object, "port"));
  return endpoint;
}

}  // namespace

absl::StatusOr<model::Labels> ParseServersetMember(const std::string& data,
                                                   const std::string& path) {
  NARTHEX_ASSIGN_OR_RETURN(const Json member, ParseMember(data));
  NARTHEX_ASSIGN_OR_RETURN(
      const Endpoint service,
      ParseEndpoint(ChildOfAnyCase(member, "serviceEndpoint")));
  NARTHEX_ASSIGN_OR_RETURN(const std::string status,
                           TextField(member, "status"));
  NARTHEX_ASSIGN_OR_RETURN(const std::int64_t shard,
                           IntegerField(member, "shard"));
  MetaLabels labels("__meta_serverset_");
  labels.Address(JoinHostPort(service.host, service.port))
      .Add("path", path)
      .Add("endpoint_host", service.host)
      .Add("endpoint_port", service.port)
      .Add("status", status)
      .Add("shard", shard);
  const Json& additional = ChildOfAnyCase(member, "additionalEndpoints");
  if (additional.is_null()) return labels.Build();
  if (!additional.is_map()) {
    return absl::InvalidArgumentError("additionalEndpoints: expected a map");
  }
  for (const auto& [name, value] : additional.members()) {
    NARTHEX_ASSIGN_OR_RETURN(const Endpoint endpoint, ParseEndpoint(value));
    labels.AddKey("endpoint_host_", name, endpoint.host)
        .AddKey("endpoint_port_", name, absl::StrCat(endpoint.port));
  }
  return labels.Build();
}

absl::StatusOr<model::Labels> ParseNerveMember(const std::string& data,
                                               const std::string& path) {
  NARTHEX_ASSIGN_OR_RETURN(const Json member, ParseMember(data));
  NARTHEX_ASSIGN_OR_RETURN(const Endpoint endpoint, ParseEndpoint(member));
  NARTHEX_ASSIGN_OR_RETURN(const std::string name, TextField(member, "name"));
  return MetaLabels("__meta_nerve_")
      .Address(JoinHostPort(endpoint.host, endpoint.port))
      .Add("path", path)
      .Add("endpoint_host", endpoint.host)
      .Add("endpoint_port", endpoint.port)
      .Add("endpoint_name", name)
      .Build();
}

absl::Status Decode(const yaml::Node& node, ServersetConfig* config) {
  return DecodeZookeeper(node, "serverset", config);
}

absl::Status Decode(const yaml::Node& node, NerveConfig* config) {
  return DecodeZookeeper(node, "nerve", config);
}

void Emit(const ZookeeperConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  out->Field("servers", config.servers);
  out->Field("paths", config.paths);
  out->Key("timeout").Duration(config.timeout_ms);
  out->EndMap();
}

void SetDirectory(const std::string&, ZookeeperConfig*) {}  // It names no file.

std::unique_ptr<Provider> MakeProvider(const ServersetConfig& config,
                                       const ProviderContext& context) {
  return std::make_unique<ZookeeperProvider>(
      ZookeeperProvider::Options{.mechanism = "serverset",
                                 .parse = ParseServersetMember},
      config, context);
}

std::unique_ptr<Provider> MakeProvider(const NerveConfig& config,
                                       const ProviderContext& context) {
  return std::make_unique<ZookeeperProvider>(
      ZookeeperProvider::Options{.mechanism = "nerve",
                                 .parse = ParseNerveMember},
      config, context);
}

}  // namespace narthex::discovery
