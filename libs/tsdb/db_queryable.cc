#include "libs/tsdb/db_queryable.h"

namespace narthex::tsdb {

absl::StatusOr<std::unique_ptr<storage::SeriesSet>> DbQueryable::Select(
    const storage::SelectHints& hints,
    const std::vector<model::Matcher>& matchers) {
  if (order_ == Order::kByLabels) return db_.SelectSamples(hints, matchers);
  // The head then goes by its ids.
  storage::SelectHints as_prometheus = hints;
  as_prometheus.any_order = true;
  return db_.SelectSamples(as_prometheus, matchers);
}

absl::StatusOr<std::vector<std::string>> DbQueryable::LabelNames(
    const storage::TimeRange& range,
    const std::vector<std::vector<model::Matcher>>& matcher_sets,
    std::size_t limit) {
  return db_.LabelNames(range, matcher_sets, limit);
}

absl::StatusOr<std::vector<std::string>> DbQueryable::LabelValues(
    const std::string& name, const storage::TimeRange& range,
    const std::vector<std::vector<model::Matcher>>& matcher_sets,
    std::size_t limit) {
  return db_.LabelValues(name, range, matcher_sets, limit);
}

}  // namespace narthex::tsdb
