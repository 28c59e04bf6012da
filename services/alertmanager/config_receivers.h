#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/yaml/decoder.h"
#include "services/alertmanager/config.h"

namespace narthex::alertmanager {

/// Reads `global`. The fields for receivers are checked for their names, for
/// secrets given twice, and kept as text.
absl::Status DecodeGlobal(const yaml::Node& node, GlobalConfig* out);

/// Reads an `http_config`.
absl::Status DecodeHttpConfig(const yaml::Node& node, http::ClientConfig* out);

/// Reads one entry of `receivers`. Integrations that Alertmanager knows but
/// that are not supported here are checked all the same, and then named in
/// `*unsupported`.
absl::Status DecodeReceiver(const yaml::Node& node, const GlobalConfig& global,
                            ReceiverConfig* out,
                            std::vector<absl::Status>* unsupported);

}  // namespace narthex::alertmanager
