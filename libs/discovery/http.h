#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/discovery/provider.h"
#include "libs/http/client_config.h"
#include "libs/yaml/emitter.h"
#include "libs/yaml/node.h"

namespace narthex::discovery {

/// One entry of http_sd_configs: target groups from a URL, as JSON. Groups
/// carry __meta_url.
struct HttpConfig {
  http::ClientConfig client;
  std::int64_t refresh_interval_ms = 60 * 1000;
  std::string url;

  friend bool operator==(const HttpConfig&, const HttpConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, HttpConfig* config);
void Emit(const HttpConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, HttpConfig* config);
std::unique_ptr<Provider> MakeProvider(const HttpConfig& config,
                                       const ProviderContext& context);

/// Whether a Content-Type is application/json, perhaps with the charset that
/// JSON has anyway.
bool IsJsonType(absl::string_view content_type);
/// An error of `node` unless `url` has the scheme http or https and a host.
absl::Status CheckHttpUrl(const yaml::Node& node, const std::string& url);

/// Reads the list of groups that came from `url`; sources are "<url>:<index>".
absl::StatusOr<std::vector<TargetGroup>> ParseTargetGroups(
    const std::string& json, const std::string& url);

}  // namespace narthex::discovery
