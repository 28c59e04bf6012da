#pragma once

#include <vector>

#include "absl/strings/string_view.h"
#include "libs/promql/engine.h"

namespace narthex::promql {

/// What Prometheus's `--enable-feature` calls the language's features that are
/// not always on.
std::vector<absl::string_view> FeatureNames();

/// Switches on the feature of that name. False when it is none of the
/// language's.
bool EnableFeature(absl::string_view name, EngineOptions* options);

}  // namespace narthex::promql
