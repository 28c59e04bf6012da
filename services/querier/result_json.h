#pragma once

#include "absl/status/status.h"
#include "libs/promql/engine.h"
#include "libs/promql/value.h"
#include "services/querier/answer.h"

namespace narthex::querier {

/// Writes {"resultType":...,"result":...}, with what the query cost when
/// `with_stats`, and with its plan when it was explained. Large results are
/// sent while they are written; kCancelled when the client is gone.
absl::Status WriteResult(const promql::QueryResult& result, bool with_stats,
                         Answer* answer);

/// Writes "stats":{...} inside an object.
void WriteStats(const promql::QueryStats& stats, JsonWriter* json);

}  // namespace narthex::querier
