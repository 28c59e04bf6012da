#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "libs/rules/alerting_rule.h"
#include "libs/storage/storage.h"

namespace narthex::rules {

/// What the series of ALERTS_FOR_STATE of an alert said last within `range`.
/// Series that were ended are left out: those alerts were over.
absl::StatusOr<AlertingRule::StoredStates> ReadStoredStates(
    storage::Queryable& storage, const std::string& alert_name,
    storage::TimeRange range);

}  // namespace narthex::rules
