#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "libs/tmpl/template.h"
#include "libs/tmpl/value.h"

namespace narthex::tmpl {

/// The functions of notification templates: toUpper, join, date, toJson and
/// the rest. `now_ms` gives the time for `now` and `since`.
FuncMap AlertmanagerFunctions(std::function<std::int64_t()> now_ms);

/// Parses and runs `text` on notification data as Alertmanager does, with the
/// templates of `set` and the function routeLabels, which renders one of
/// data.RouteLabels (a map of templates) and fails when they go in a circle.
absl::StatusOr<std::string> ExpandAlertmanager(const TemplateSet& set,
                                               absl::string_view text,
                                               const Value& data, bool html);

}  // namespace narthex::tmpl
