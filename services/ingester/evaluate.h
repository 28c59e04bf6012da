#pragma once

#include <atomic>
#include <cstdint>

#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/base/task_pool.h"
#include "libs/promql/progress.h"
#include "libs/tsdb/db.h"
#include "narthex/v1/ingester.pb.h"
#include "services/ingester/caller.h"

namespace narthex::ingester {

/// Evaluates the fragment of `request` over `db`, streams its columns to
/// `caller` and returns how many samples were read. Ends at the caller's
/// deadline and when `cancelled` is set. Threads of `helpers` (may be null)
/// share the work when it is much. `progress` (may be null) says how far it is.
absl::StatusOr<std::int64_t> EvaluateOver(
    const tsdb::Db& db, const base::Clock& clock,
    const v1::EvaluateRequest& request,
    const Caller<v1::EvaluateResponse>& caller,
    const std::atomic<bool>& cancelled, base::TaskPool* helpers,
    promql::QueryProgress* progress);

}  // namespace narthex::ingester
