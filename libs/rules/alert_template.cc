#include "libs/rules/alert_template.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"

namespace narthex::rules {
namespace {

// Gives templates the variables that rules are written with.
constexpr absl::string_view kVariables =
    "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}"
    "{{$externalURL := .ExternalURL}}{{$value := .Value}}";

// A set that knows the names all templates may use, to be copied; what depends
// on the alert is replaced for each expansion.
const tmpl::TemplateSet& EmptySet() {
  static const tmpl::TemplateSet set([] {
    tmpl::FuncMap functions = tmpl::PrometheusFunctions();
    functions.merge(tmpl::PrometheusContextFunctions({}));
    return functions;
  }());
  return set;
}

}  // namespace

AlertTemplateData NewAlertTemplateData(const model::Labels& labels,
                                       double value,
                                       const model::Labels& external_labels,
                                       const tmpl::PrometheusContext& context) {
  return {tmpl::Value::Struct(
              {{"Labels", tmpl::LabelsValue(labels)},
               {"ExternalLabels", tmpl::LabelsValue(external_labels)},
               {"ExternalURL", tmpl::Value::String(context.external_url)},
               {"Value", tmpl::Value::Float(value)}}),
          tmpl::PrometheusContextFunctions(context)};
}

absl::StatusOr<AlertTemplate> AlertTemplate::Create(
    absl::string_view alert_name, absl::string_view text) {
  AlertTemplate result;
  result.text_ = std::string(text);
  if (!absl::StrContains(text, "{{")) return result;
  result.name_ = absl::StrCat("__alert_", alert_name);
  auto set = std::make_shared<tmpl::TemplateSet>(EmptySet());
  const absl::Status parsed =
      set->Parse(result.name_, absl::StrCat(kVariables, text));
  if (!parsed.ok()) {
    return base::Annotate(
        parsed, absl::StrCat("error parsing template ", result.name_));
  }
  result.calls_templates_ = absl::StrContains(text, "tmpl");
  result.set_ = std::move(set);
  return result;
}

absl::StatusOr<std::string> AlertTemplate::Expand(
    const AlertTemplateData& data) const {
  if (is_constant()) return text_;
  tmpl::ExecuteOptions options{/*html=*/false, tmpl::MissingKey::kZero,
                               &data.functions};
  tmpl::FuncMap with_templates;
  if (calls_templates_) {
    with_templates = data.functions;
    with_templates["tmpl"] = tmpl::TemplateCall(*set_, options);
    options.functions = &with_templates;
  }
  auto expanded = set_->Execute(name_, data.dot, options);
  if (expanded.ok()) return expanded;
  return base::Annotate(expanded.status(),
                        absl::StrCat("error executing template ", name_));
}

}  // namespace narthex::rules
