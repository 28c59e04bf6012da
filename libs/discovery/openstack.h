#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "libs/discovery/provider.h"
#include "libs/http/client_config.h"
#include "libs/yaml/decoder.h"
#include "libs/yaml/emitter.h"

namespace narthex::discovery {

/// One entry of openstack_sd_configs.
struct OpenstackConfig {
  /// Empty: this and all credentials come from the environment (OS_*).
  std::string identity_endpoint;
  std::string username;
  std::string userid;
  std::string password;
  std::string project_name;
  std::string project_id;
  std::string domain_name;
  std::string domain_id;
  std::string application_credential_name;
  std::string application_credential_id;
  std::string application_credential_secret;
  /// "instance", "hypervisor" or "loadbalancer".
  std::string role;
  std::string region;
  std::int64_t refresh_interval_ms = 60 * 1000;
  int port = 80;
  bool all_tenants = false;
  http::TlsConfig tls;
  /// "public", "internal" or "admin" endpoints of the catalogue.
  std::string availability = "public";

  friend bool operator==(const OpenstackConfig&,
                         const OpenstackConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, OpenstackConfig* config);
void Emit(const OpenstackConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, OpenstackConfig* config);
std::unique_ptr<Provider> MakeProvider(const OpenstackConfig& config,
                                       const ProviderContext& context);

}  // namespace narthex::discovery
