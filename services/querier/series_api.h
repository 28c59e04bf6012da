#pragma once

#include <functional>
#include <vector>

#include "libs/storage/label_table.h"
#include "libs/storage/storage.h"
#include "services/querier/answer.h"
#include "services/querier/params.h"

namespace narthex::querier {

/// Where series are looked up. What it refers to outlives the routes.
struct SeriesSource {
  storage::Queryable* queryable = nullptr;
  /// Label sets of the series that satisfy at least one matcher set; at most
  /// that many (0: all).
  std::function<absl::StatusOr<storage::LabelTable>(
      const storage::TimeRange&, const MatcherSets&, std::size_t)>
      series_labels;
};

/// /series, /labels and /label/<name>/values.
void AddSeriesRoutes(ApiRoutes& routes, SeriesSource source);

}  // namespace narthex::querier
