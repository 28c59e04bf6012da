#include "libs/discovery/openstack.h"

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/discovery/meta_labels.h"
#include "libs/discovery/openstack_session.h"
#include "libs/discovery/refresh_provider.h"
#include "libs/yaml/optional_fields.h"

namespace narthex::discovery {
namespace {

constexpr char kPrefix[] = "__meta_openstack_";

absl::Status AddHypervisors(const OpenstackConfig& config,
                            const OpenstackSession& session,
                            TargetGroup* group) {
  NARTHEX_ASSIGN_OR_RETURN(const std::string compute,
                           session.Endpoint("compute"));
  return session.ForEach(
      compute + "os-hypervisors/detail", "hypervisors",
      [&](const Json& hypervisor) {
        const Json& id = Child(hypervisor, "id");
        const std::string ip = Text(hypervisor, "host_ip");
        group->targets.push_back(
            MetaLabels(kPrefix)
                .Address(JoinHostPort(ip, config.port))
                // A number before version 2.53 of the API.
                .Add("hypervisor_id", id.is_number() ? id.Dump() : id.text())
                .Add("hypervisor_hostname",
                     Text(hypervisor, "hypervisor_hostname"))
                .Add("hypervisor_host_ip", ip)
                .Add("hypervisor_status", Text(hypervisor, "status"))
                .Add("hypervisor_state", Text(hypervisor, "state"))
                .Add("hypervisor_type", Text(hypervisor, "hypervisor_type"))
                .Build());
      });
}

/// Addresses from outside, by the device and its own address.
struct FloatingIps {
  std::map<std::pair<std::string, std::string>, std::string> by_fixed;
  std::set<std::string> all;
};

absl::StatusOr<FloatingIps> ReadFloatingIps(const OpenstackSession& session) {
  NARTHEX_ASSIGN_OR_RETURN(const std::string network,
                           session.Endpoint("network"));
  std::map<std::string, std::string> devices;
  NARTHEX_RETURN_IF_ERROR(base::Annotate(
      session.ForEach(network + "v2.0/ports", "ports",
                      [&](const Json& port) {
                        devices[Text(port, "id")] = Text(port, "device_id");
                      }),
      "failed to list all ports"));
  FloatingIps out;
  NARTHEX_RETURN_IF_ERROR(session.ForEach(
      network + "v2.0/floatingips", "floatingips", [&](const Json& ip) {
        const std::string fixed = Text(ip, "fixed_ip_address");
        const auto device = devices.find(Text(ip, "port_id"));
        if (fixed.empty() || device == devices.end()) return;
        const std::string floating = Text(ip, "floating_ip_address");
        out.by_fixed[{device->second, fixed}] = floating;
        out.all.insert(floating);
      }));
  return out;
}

void AddServer(const OpenstackConfig& config, const FloatingIps& floating,
               const Json& server, TargetGroup* group) {
  const std::string id = Text(server, "id");
  const Json& flavor = Child(server, "flavor");
  // Named so from version 2.47 of the API on.
  const char* flavor_key =
      Child(flavor, "original_name").is_text() ? "original_name" : "id";
  if (!Child(flavor, flavor_key).is_text()) return;
  MetaLabels common(kPrefix);
  common.Add("instance_id", id)
      .Add("instance_status", Text(server, "status"))
      .Add("instance_name", Text(server, "name"))
      .Add("project_id", Text(server, "tenant_id"))
      .Add("user_id", Text(server, "user_id"))
      .Add("instance_flavor", Text(flavor, flavor_key))
      .Add("instance_image", Text(Child(server, "image"), "id"));
  ForEachText(Child(server, "metadata"),
              [&](const std::string& key, const std::string& value) {
                common.AddKey("tag_", key, value);
              });
  const Json& pools = Child(server, "addresses");
  if (!pools.is_map()) return;
  for (const auto& [pool, addresses] : pools.members()) {
    if (!addresses.is_list()) continue;
    for (const Json& item : addresses) {
      const std::string address = Text(item, "addr");
      // Seen at its own address already.
      if (address.empty() || floating.all.contains(address)) continue;
      MetaLabels labels(common);
      labels.Address(JoinHostPort(address, config.port))
          .Add("address_pool", pool)
          .Add("private_ip", address);
      const auto it = floating.by_fixed.find({id, address});
      if (it != floating.by_fixed.end()) labels.Add("public_ip", it->second);
      group->targets.push_back(labels.Build());
    }
  }
}

absl::Status AddInstances(const OpenstackConfig& config,
                          const OpenstackSession& session, TargetGroup* group) {
  NARTHEX_ASSIGN_OR_RETURN(const std::string compute,
                           session.Endpoint("compute"));
  NARTHEX_ASSIGN_OR_RETURN(const FloatingIps floating,
                           ReadFloatingIps(session));
  return session.ForEach(
      absl::StrCat(compute, "servers/detail",
                   config.all_tenants ? "?all_tenants=true" : ""),
      "servers",
      [&](const Json& server) { AddServer(config, floating, server, group); });
}

absl::Status AddLoadBalancers(const OpenstackSession& session,
                              TargetGroup* group) {
  NARTHEX_ASSIGN_OR_RETURN(const std::string endpoint,
                           session.Endpoint("load-balancer"));
  NARTHEX_ASSIGN_OR_RETURN(const std::string network,
                           session.Endpoint("network"));
  const std::string base =
      absl::StrCat(absl::StripSuffix(endpoint, "v2.0/"), "v2.0/lbaas/");
  // The first port of each that speaks Prometheus's format.
  std::map<std::string, std::int64_t> ports;
  NARTHEX_RETURN_IF_ERROR(session.ForEach(
      base + "listeners", "listeners", [&](const Json& listener) {
        if (Text(listener, "protocol") != "PROMETHEUS") return;
        for (const Json& balancer : Child(listener, "loadbalancers")) {
          ports.emplace(Text(balancer, "id"),
                        Number(listener, "protocol_port"));
        }
      }));
  std::map<std::string, std::string> floating;
  NARTHEX_RETURN_IF_ERROR(session.ForEach(
      network + "v2.0/floatingips", "floatingips", [&](const Json& ip) {
        const std::string port = Text(ip, "port_id");
        if (!port.empty()) floating[port] = Text(ip, "floating_ip_address");
      }));
  return session.ForEach(
      base + "loadbalancers", "loadbalancers", [&](const Json& balancer) {
        const std::string id = Text(balancer, "id");
        const auto port = ports.find(id);
        if (port == ports.end()) return;
        const std::string vip = Text(balancer, "vip_address");
        MetaLabels labels(kPrefix);
        labels.Address(JoinHostPort(vip, port->second))
            .Add("loadbalancer_id", id)
            .Add("loadbalancer_name", Text(balancer, "name"))
            .Add("loadbalancer_operating_status",
                 Text(balancer, "operating_status"))
            .Add("loadbalancer_provisioning_status",
                 Text(balancer, "provisioning_status"))
            .Add("loadbalancer_availability_zone",
                 Text(balancer, "availability_zone"))
            .Add("loadbalancer_vip", vip)
            .Add("loadbalancer_provider", Text(balancer, "provider"))
            .Add("project_id", Text(balancer, "project_id"))
            .Add("loadbalancer_tags",
                 absl::StrJoin(Texts(balancer, "tags"), ","));
        const auto ip = floating.find(Text(balancer, "vip_port_id"));
        if (ip != floating.end()) {
          labels.Add("loadbalancer_floating_ip", ip->second);
        }
        group->targets.push_back(labels.Build());
      });
}

absl::StatusOr<std::vector<TargetGroup>> Refresh(const OpenstackConfig& config,
                                                 Fetcher& fetcher) {
  NARTHEX_ASSIGN_OR_RETURN(const OpenstackSession session,
                           OpenstackSession::Open(config, fetcher));
  TargetGroup group;
  group.source = absl::StrCat("OS_", config.region);
  absl::Status status;
  if (config.role == "hypervisor") {
    status = AddHypervisors(config, session, &group);
  } else if (config.role == "instance") {
    status = AddInstances(config, session, &group);
  } else {
    status = AddLoadBalancers(session, &group);
  }
  NARTHEX_RETURN_IF_ERROR(status);
  return std::vector<TargetGroup>{std::move(group)};
}

void EmitNullableSecret(const char* field, const std::string& secret,
                        yaml::Emitter* out) {
  if (secret.empty()) {
    out->Key(field).Null();
  } else {
    out->Field(field, yaml::kHiddenSecret);
  }
}

}  // namespace

absl::Status Decode(const yaml::Node& node, OpenstackConfig* config) {
  yaml::Decoder d(node);
  d.Field("identity_endpoint", &config->identity_endpoint);
  d.Field("username", &config->username);
  d.Field("userid", &config->userid);
  d.Field("password", &config->password);
  d.Field("project_name", &config->project_name);
  d.Field("project_id", &config->project_id);
  d.Field("domain_name", &config->domain_name);
  d.Field("domain_id", &config->domain_id);
  d.Field("application_credential_name", &config->application_credential_name);
  d.Field("application_credential_id", &config->application_credential_id);
  d.Field("application_credential_secret",
          &config->application_credential_secret);
  if (d.Field("role", &config->role) && config->role != "hypervisor" &&
      config->role != "instance" && config->role != "loadbalancer") {
    d.FailField("role", absl::StrCat("unknown OpenStack SD role ",
                                     base::Quote(config->role)));
  }
  d.Field("region", &config->region);
  d.Duration("refresh_interval", &config->refresh_interval_ms);
  d.Field("port", &config->port);
  d.Field("all_tenants", &config->all_tenants);
  d.Field("tls_config", &config->tls);
  d.Field("availability", &config->availability);
  if (config->availability != "public" && config->availability != "internal" &&
      config->availability != "admin") {
    d.Fail(absl::StrCat("unknown availability ", config->availability,
                        ", must be one of admin, internal or public"));
  }
  if (config->role.empty()) {
    d.Fail("role missing (one of: instance, hypervisor, loadbalancer)");
  }
  if (config->region.empty()) {
    d.Fail("openstack SD configuration requires a region");
  }
  return d.Done();
}

void Emit(const OpenstackConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  out->Field("identity_endpoint", config.identity_endpoint);
  out->Field("username", config.username);
  out->Field("userid", config.userid);
  EmitNullableSecret("password", config.password, out);
  out->Field("project_name", config.project_name);
  out->Field("project_id", config.project_id);
  out->Field("domain_name", config.domain_name);
  out->Field("domain_id", config.domain_id);
  out->Field("application_credential_name", config.application_credential_name);
  out->Field("application_credential_id", config.application_credential_id);
  EmitNullableSecret("application_credential_secret",
                     config.application_credential_secret, out);
  out->Field("role", config.role);
  out->Field("region", config.region);
  out->Key("refresh_interval").Duration(config.refresh_interval_ms);
  out->Field("port", std::int64_t{config.port});
  yaml::EmitTrue("all_tenants", config.all_tenants, out);
  http::EmitTls(config.tls, out);
  yaml::EmitText("availability", config.availability, out);
  out->EndMap();
}

void SetDirectory(const std::string& directory, OpenstackConfig* config) {
  http::SetDirectory(directory, &config->tls);
}

std::unique_ptr<Provider> MakeProvider(const OpenstackConfig& config,
                                       const ProviderContext& context) {
  auto client = std::make_shared<http::ClientConfig>();
  client->tls = config.tls;
  return std::make_unique<RefreshProvider>(
      RefreshProvider::Options{.mechanism = "openstack",
                               .interval_ms = config.refresh_interval_ms,
                               .client = std::move(client)},
      context, [config](Fetcher& fetcher) { return Refresh(config, fetcher); });
}

}  // namespace narthex::discovery
