#include "libs/discovery/consul.h"

#include "absl/strings/ascii.h"
#include "libs/discovery/consul_provider.h"
#include "libs/yaml/optional_fields.h"

namespace narthex::discovery {
namespace {

/// `username` and `password` are an old way to say basic_auth.
void SettleAuthentication(yaml::Decoder& d, ConsulConfig* config) {
  http::ClientConfig& client = config->client;
  if (!config->username.empty() || !config->password.empty()) {
    if (client.basic_auth.has_value()) {
      d.Fail(
          "at most one of consul SD configuration username and password and "
          "basic auth can be configured");
    }
    if (client.authorization.has_value() || client.oauth2.has_value()) {
      d.Fail(
          "at most one of basic_auth, oauth2 & authorization must be "
          "configured");
    }
    client.basic_auth.emplace();
    client.basic_auth->username = config->username;
    client.basic_auth->password = config->password;
  }
  if (!config->token.empty() &&
      (client.authorization.has_value() || client.oauth2.has_value())) {
    d.Fail(
        "at most one of consul SD token, authorization, or oauth2 can be "
        "configured");
  }
}

}  // namespace

absl::Status Decode(const yaml::Node& node, ConsulConfig* config) {
  yaml::Decoder d(node);
  d.Field("server", &config->server);
  d.Field("path_prefix", &config->path_prefix);
  d.Field("token", &config->token);
  d.Field("datacenter", &config->datacenter);
  d.Field("namespace", &config->consul_namespace);
  d.Field("partition", &config->partition);
  d.Field("tag_separator", &config->tag_separator);
  d.Field("scheme", &config->scheme);
  d.Field("username", &config->username);
  d.Field("password", &config->password);
  d.Field("allow_stale", &config->allow_stale);
  d.Duration("refresh_interval", &config->refresh_interval_ms);
  d.Field("services", &config->services);
  d.Field("tags", &config->tags);
  d.Field("node_meta", &config->node_meta);
  d.Field("filter", &config->filter);
  d.Field("health_filter", &config->health_filter);
  http::DecodeClientConfig(d, &config->client);
  if (absl::StripAsciiWhitespace(config->server).empty()) {
    d.Fail("consul SD configuration requires a server address");
  }
  SettleAuthentication(d, config);
  return d.Done();
}

void Emit(const ConsulConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  out->Field("server", config.server);
  yaml::EmitText("path_prefix", config.path_prefix, out);
  yaml::EmitSecret("token", config.token, out);
  yaml::EmitText("datacenter", config.datacenter, out);
  yaml::EmitText("namespace", config.consul_namespace, out);
  yaml::EmitText("partition", config.partition, out);
  yaml::EmitText("tag_separator", config.tag_separator, out);
  yaml::EmitText("scheme", config.scheme, out);
  yaml::EmitText("username", config.username, out);
  yaml::EmitSecret("password", config.password, out);
  out->Field("allow_stale", config.allow_stale);
  out->Key("refresh_interval").Duration(config.refresh_interval_ms);
  yaml::EmitList("services", config.services, out);
  yaml::EmitList("tags", config.tags, out);
  yaml::EmitMap("node_meta", config.node_meta, out);
  yaml::EmitText("filter", config.filter, out);
  yaml::EmitText("health_filter", config.health_filter, out);
  http::EmitClientConfig(config.client, out);
  out->EndMap();
}

void SetDirectory(const std::string& directory, ConsulConfig* config) {
  http::SetDirectory(directory, &config->client);
}

std::unique_ptr<Provider> MakeProvider(const ConsulConfig& config,
                                       const ProviderContext& context) {
  return std::make_unique<ConsulProvider>(ConsulProvider::Options(), config,
                                          context);
}

}  // namespace narthex::discovery
