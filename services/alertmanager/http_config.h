#pragma once

#include "absl/status/status.h"
#include "libs/http/client.h"
#include "libs/yaml/decoder.h"

namespace narthex::alertmanager {

/// Reads an `http_config` over the values that `*out` already holds. Relative
/// file names stay as they are; see ResolveFiles().
absl::Status DecodeHttpConfig(const yaml::Node& node, http::ClientConfig* out);

/// Takes relative names of files in the configuration from `directory`.
void ResolveFiles(absl::string_view directory, http::ClientConfig* config);

}  // namespace narthex::alertmanager
