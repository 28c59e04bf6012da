#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "libs/tmpl/value.h"
#include "services/alertmanager/notifier.h"

namespace narthex::alertmanager {

/// The JSON of a webhook: at most `max_alerts` alerts (0: all), the rest
/// counted.
std::string WebhookPayload(const Notification& notification,
                           std::uint64_t max_alerts,
                           absl::string_view external_url);

/// The same as the dot of templates.
tmpl::Value TemplateData(const Notification& notification,
                         std::uint64_t max_alerts,
                         absl::string_view external_url);

}  // namespace narthex::alertmanager
