#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/model/labels.h"
#include "libs/tmpl/prometheus_functions.h"
#include "libs/tmpl/template.h"

namespace narthex::rules {

/// The data of one expansion, shared by all labels and annotations of an
/// alert.
struct AlertTemplateData {
  tmpl::Value dot;
  tmpl::FuncMap functions;
};

/// Makes the data for an alert: `.Labels`, `.Value`, `.ExternalLabels`,
/// `.ExternalURL`, and the functions that depend on them.
AlertTemplateData NewAlertTemplateData(const model::Labels& labels,
                                       double value,
                                       const model::Labels& external_labels,
                                       const tmpl::PrometheusContext& context);

/// A label or annotation of an alerting rule, parsed once and expanded for
/// every alert. Immutable, cheap to copy.
class AlertTemplate {
 public:
  /// kInvalidArgument with the position in the template.
  static absl::StatusOr<AlertTemplate> Create(absl::string_view alert_name,
                                              absl::string_view text);

  /// Whether expanding needs no data at all.
  bool is_constant() const { return set_ == nullptr; }
  const std::string& text() const { return text_; }

  absl::StatusOr<std::string> Expand(const AlertTemplateData& data) const;

 private:
  AlertTemplate() = default;
  std::string name_;
  std::string text_;
  bool calls_templates_ = false;  // By the function tmpl.
  std::shared_ptr<const tmpl::TemplateSet> set_;
};

}  // namespace narthex::rules
