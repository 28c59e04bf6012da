#pragma once

#include "absl/status/status.h"
#include "libs/promql/engine.h"
#include "libs/promql/value.h"
#include "services/querier/answer.h"

namespace narthex::querier {

/// Writes {"resultType":...,"result":...} with `stats` when not null. Large
/// results are sent while they are written; kCancelled when the client is
/// gone.
absl::Status WriteResult(const promql::Value& value,
                         const promql::QueryStats* stats, Answer* answer);

}  // namespace narthex::querier
