#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/discovery/provider.h"
#include "libs/http/client_config.h"
#include "libs/yaml/decoder.h"
#include "libs/yaml/emitter.h"

namespace narthex::discovery {

/// One entry of kuma_sd_configs: Kuma's monitoring assignments (MADS v1) by
/// xDS over REST.
struct KumaConfig {
  std::string server;
  http::ClientConfig client;
  std::int64_t refresh_interval_ms = 15 * 1000;
  /// How long the server may wait for news.
  std::int64_t fetch_timeout_ms = 120 * 1000;
  /// Empty: the machine's name.
  std::string client_id;

  friend bool operator==(const KumaConfig&, const KumaConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, KumaConfig* config);
void Emit(const KumaConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, KumaConfig* config);
std::unique_ptr<Provider> MakeProvider(const KumaConfig& config,
                                       const ProviderContext& context);

/// What the server told last.
struct KumaResponse {
  std::string version;
  std::string nonce;
  TargetGroup group;
};
/// Reads an xDS DiscoveryResponse in JSON.
absl::StatusOr<KumaResponse> ParseKumaResponse(const std::string& body);

}  // namespace narthex::discovery
