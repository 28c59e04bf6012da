#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/model/labels.h"
#include "libs/tmpl/template.h"
#include "libs/tmpl/value.h"

namespace narthex::tmpl {

/// One element of an instant vector, as `query` gives it to a template.
struct QuerySample {
  model::Labels labels;
  double value = 0;
};

/// Evaluates an expression at a time (Unix ms) for the function `query`.
using QueryFunction = std::function<absl::StatusOr<std::vector<QuerySample>>(
    absl::string_view expression, std::int64_t time_ms)>;

/// The value of a QuerySample: .Labels and .Value.
Value SampleValue(const QuerySample& sample);

/// Labels as a map of strings.
Value LabelsValue(const model::Labels& labels);

/// The functions of alert templates (and consoles) that depend on nothing:
/// humanize, title, reReplaceAll, sortByLabel and the rest.
FuncMap PrometheusFunctions();

/// What the other functions need.
struct PrometheusContext {
  QueryFunction query;       ///< query
  std::int64_t time_ms = 0;  ///< query, now
  std::string external_url;  ///< externalURL, pathPrefix
};

/// query, now, externalURL, pathPrefix. Give them to the set, or as
/// ExecuteOptions::functions when the context changes from run to run: then
/// the set must have been made with them as well to know the names.
FuncMap PrometheusContextFunctions(PrometheusContext context);

/// The function `tmpl NAME DATA`, which runs a template of `set`. Both must
/// outlive it; `options` may get this very function afterwards.
Function TemplateCall(const TemplateSet& set, const ExecuteOptions& options);

/// Parses and runs one text as Prometheus does, all functions included (tmpl
/// too). A missing label is the empty string, whatever `missing_key` says of
/// other things.
absl::StatusOr<std::string> ExpandPrometheus(
    absl::string_view name, absl::string_view text, const Value& data,
    const PrometheusContext& context,
    MissingKey missing_key = MissingKey::kZero, bool html = false);

}  // namespace narthex::tmpl
