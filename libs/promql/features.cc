#include "libs/promql/features.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/quote.h"

namespace narthex::promql {
namespace {

bool Enable(absl::string_view feature, EngineOptions* options) {
  if (feature == "promql-experimental-functions") {
    options->parser.experimental_functions = true;
  } else if (feature == "promql-extended-range-selectors") {
    options->parser.extended_range_selectors = true;
  } else if (feature == "promql-binop-fill-modifiers") {
    options->parser.fill_modifiers = true;
  } else if (feature == "promql-delayed-name-removal") {
    options->delayed_name_removal = true;
  } else if (feature == "type-and-unit-labels") {
    options->type_and_unit_labels = true;
  } else if (feature == "use-start-timestamps") {
    options->use_start_timestamps = true;
  } else {
    // Always on.
    return feature == "promql-duration-expr" || feature == "native-histograms";
  }
  return true;
}

}  // namespace

absl::Status EnableFeatures(const std::vector<std::string>& lists,
                            EngineOptions* options) {
  for (const std::string& list : lists) {
    for (absl::string_view feature : absl::StrSplit(list, ',')) {
      feature = absl::StripAsciiWhitespace(feature);
      if (!feature.empty() && !Enable(feature, options)) {
        return absl::InvalidArgumentError(absl::StrCat(
            "--enable-feature: unknown feature ", base::Quote(feature)));
      }
    }
  }
  return absl::OkStatus();
}

absl::string_view FeatureNames() {
  return "promql-experimental-functions, promql-extended-range-selectors, "
         "promql-binop-fill-modifiers, promql-delayed-name-removal, "
         "promql-duration-expr, type-and-unit-labels, use-start-timestamps, "
         "native-histograms";
}

}  // namespace narthex::promql
