#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "libs/discovery/provider.h"
#include "libs/yaml/decoder.h"
#include "libs/yaml/emitter.h"

namespace narthex::discovery {

/// One entry of gce_sd_configs. Credentials are those of Google's tools: the
/// file that GOOGLE_APPLICATION_CREDENTIALS names, gcloud's, or else the
/// account of the instance that we run on.
struct GceConfig {
  std::string project;
  std::string zone;
  std::string filter;
  std::int64_t refresh_interval_ms = 60 * 1000;
  int port = 80;
  std::string tag_separator = ",";

  friend bool operator==(const GceConfig&, const GceConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, GceConfig* config);
void Emit(const GceConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, GceConfig* config);
std::unique_ptr<Provider> MakeProvider(const GceConfig& config,
                                       const ProviderContext& context);

/// The same with another place for the Compute Engine API, for tests.
std::unique_ptr<Provider> MakeGceProvider(const GceConfig& config,
                                          const ProviderContext& context,
                                          const std::string& endpoint);

}  // namespace narthex::discovery
