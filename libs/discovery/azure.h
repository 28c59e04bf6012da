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

/// One entry of azure_sd_configs.
struct AzureConfig {
  /// The cloud's name: "AzurePublicCloud" and the like.
  std::string environment = "AzurePublicCloud";
  int port = 80;
  std::string subscription_id;
  std::string tenant_id;
  std::string client_id;
  std::string client_secret;
  std::int64_t refresh_interval_ms = 5 * 60 * 1000;
  /// "OAuth", "ManagedIdentity", "SDK" or "WorkloadIdentity".
  std::string authentication_method = "OAuth";
  /// Empty: all.
  std::string resource_group;
  http::ClientConfig client;

  friend bool operator==(const AzureConfig&, const AzureConfig&) = default;
};

/// Where the services of one Azure cloud are.
struct AzureCloud {
  std::string login;
  std::string management;
  /// The metadata service of the machine that we run on.
  std::string identity = "http://169.254.169.254";
};

absl::Status Decode(const yaml::Node& node, AzureConfig* config);
void Emit(const AzureConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, AzureConfig* config);
std::unique_ptr<Provider> MakeProvider(const AzureConfig& config,
                                       const ProviderContext& context);

/// The same for another cloud, for tests.
std::unique_ptr<Provider> MakeAzureProvider(const AzureConfig& config,
                                            const ProviderContext& context,
                                            const AzureCloud& cloud);

}  // namespace narthex::discovery
