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

/// One entry of uyuni_sd_configs.
struct UyuniConfig {
  std::string server;
  std::string username;
  std::string password;
  http::ClientConfig client;
  std::string entitlement = "monitoring_entitled";
  std::string separator = ",";
  std::int64_t refresh_interval_ms = 60 * 1000;

  friend bool operator==(const UyuniConfig&, const UyuniConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, UyuniConfig* config);
void Emit(const UyuniConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, UyuniConfig* config);
std::unique_ptr<Provider> MakeProvider(const UyuniConfig& config,
                                       const ProviderContext& context);

}  // namespace narthex::discovery
