#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/promql/engine.h"

namespace narthex::promql {

/// Switches on what Prometheus's `--enable-feature` calls one of: each of
/// `lists` is a comma-separated list of names. kInvalidArgument for a name that
/// is none of the language's.
absl::Status EnableFeatures(const std::vector<std::string>& lists,
                            EngineOptions* options);

/// The names, separated by ", ".
absl::string_view FeatureNames();

}  // namespace narthex::promql
