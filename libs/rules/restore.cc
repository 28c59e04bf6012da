#include "libs/rules/restore.h"

#include <memory>
#include <vector>

#include "libs/base/status.h"
#include "libs/model/matcher.h"
#include "libs/model/sample.h"

namespace narthex::rules {

absl::StatusOr<AlertingRule::StoredStates> ReadStoredStates(
    storage::Queryable& storage, const std::string& alert_name,
    storage::TimeRange range) {
  storage::SelectHints hints;
  hints.range = range;
  NARTHEX_ASSIGN_OR_RETURN(
      const std::unique_ptr<storage::SeriesSet> set,
      storage.Select(
          hints, {model::Matcher::Equal(model::kMetricName, kForStateMetric),
                  model::Matcher::Equal(model::kAlertName, alert_name)}));
  AlertingRule::StoredStates states;
  model::SampleColumns samples;
  while (set->Next()) {
    const std::unique_ptr<storage::Series> series = set->At();
    samples.clear();
    NARTHEX_RETURN_IF_ERROR(series->Read(&samples));
    // A series that was ended belongs to an alert that was over.
    if (samples.empty() || model::IsStaleNan(samples.values.back())) continue;
    const auto active_at_s = static_cast<std::int64_t>(samples.values.back());
    states[series->labels().WithoutName()] = {active_at_s * 1000,
                                              samples.timestamps_ms.back()};
  }
  NARTHEX_RETURN_IF_ERROR(set->status());
  return states;
}

}  // namespace narthex::rules
