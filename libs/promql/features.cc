#include "libs/promql/features.h"

namespace narthex::promql {
namespace {

struct Feature {
  absl::string_view name;
  void (*enable)(EngineOptions* options);
};

constexpr Feature kFeatures[] = {
    {"promql-experimental-functions",
     [](EngineOptions* o) { o->parser.experimental_functions = true; }},
    {"promql-extended-range-selectors",
     [](EngineOptions* o) { o->parser.extended_range_selectors = true; }},
    {"promql-binop-fill-modifiers",
     [](EngineOptions* o) { o->parser.fill_modifiers = true; }},
    {"promql-delayed-name-removal",
     [](EngineOptions* o) { o->delayed_name_removal = true; }},
    {"type-and-unit-labels",
     [](EngineOptions* o) { o->type_and_unit_labels = true; }},
    {"use-start-timestamps",
     [](EngineOptions* o) { o->use_start_timestamps = true; }},
};

}  // namespace

std::vector<absl::string_view> FeatureNames() {
  std::vector<absl::string_view> names;
  for (const Feature& feature : kFeatures) names.push_back(feature.name);
  return names;
}

bool EnableFeature(absl::string_view name, EngineOptions* options) {
  for (const Feature& feature : kFeatures) {
    if (feature.name != name) continue;
    feature.enable(options);
    return true;
  }
  return false;
}

}  // namespace narthex::promql
