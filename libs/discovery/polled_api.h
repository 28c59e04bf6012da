#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "libs/discovery/refresh_provider.h"
#include "libs/http/client_config.h"
#include "libs/yaml/decoder.h"
#include "libs/yaml/emitter.h"

namespace narthex::discovery {

/// What most mechanisms have that list machines from a provider's API.
struct PolledApiConfig {
  http::ClientConfig client;
  std::int64_t refresh_interval_ms = 60 * 1000;
  /// Of the targets.
  int port = 80;

  friend bool operator==(const PolledApiConfig&,
                         const PolledApiConfig&) = default;
};

/// Takes and prints its fields in a map that has more of them.
void DecodePolledApi(yaml::Decoder& d, PolledApiConfig* config);
void EmitPolledApi(const PolledApiConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, PolledApiConfig* config);

/// Polls with the client and the interval of `config`.
std::unique_ptr<Provider> PollApi(const std::string& mechanism,
                                  const PolledApiConfig& config,
                                  const ProviderContext& context,
                                  RefreshProvider::Refresh refresh);

}  // namespace narthex::discovery
