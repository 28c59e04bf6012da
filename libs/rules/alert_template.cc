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

// The names all templates may use; what depends on the alert is replaced for
// each expansion.
tmpl::FuncMap KnownFunctions() {
  tmpl::FuncMap functions = tmpl::PrometheusFunctions();
  functions.merge(tmpl::PrometheusContextFunctions({}));
  return functions;
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
  auto set = std::make_shared<tmpl::TemplateSet>(KnownFunctions());
  const absl::Status parsed =
      set->Parse(result.name_, absl::StrCat(kVariables, text));
  if (!parsed.ok()) {
    return base::Annotate(
        parsed, absl::StrCat("error parsing template ", result.name_));
  }
  result.set_ = std::move(set);
  return result;
}

absl::StatusOr<std::string> AlertTemplate::Expand(
    const AlertTemplateData& data) const {
  if (is_constant()) return text_;
  auto expanded =
      set_->Execute(name_, data.dot,
                    {/*html=*/false, tmpl::MissingKey::kZero, &data.functions});
  if (expanded.ok()) return expanded;
  return base::Annotate(expanded.status(),
                        absl::StrCat("error executing template ", name_));
}

}  // namespace narthex::rules
