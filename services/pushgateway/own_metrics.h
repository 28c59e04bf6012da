#pragma once

#include <map>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "libs/metrics/metrics.h"
#include "libs/model/sample.h"

namespace narthex::pushgateway {

/// Pushgateway's metrics about itself.
struct Metrics {
  explicit Metrics(metrics::Registry& registry);
  metrics::CounterFamily& requests;        // code, handler, method
  metrics::HistogramFamily& push_seconds;  // method
  metrics::HistogramFamily& push_bytes;    // method
};

/// Splits a text exposition into its families, each with HELP and TYPE, by
/// name.
std::map<std::string, std::string> SplitFamilies(absl::string_view exposition);

/// The types of all families of an exposition.
absl::flat_hash_map<std::string, model::MetricType> FamilyTypes(
    absl::string_view exposition);

}  // namespace narthex::pushgateway
