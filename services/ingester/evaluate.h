#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/tsdb/db.h"
#include "narthex/v1/ingester.grpc.pb.h"

namespace narthex::ingester {

/// Evaluates the fragment of `request` over `db`, streams its columns to
/// `writer` and returns how many samples were read. Ends at `deadline` and
/// when `cancelled` is set.
absl::StatusOr<std::int64_t> EvaluateOver(
    const tsdb::Db& db, const base::Clock& clock,
    const v1::EvaluateRequest& request,
    std::chrono::system_clock::time_point deadline,
    const std::atomic<bool>& cancelled,
    grpc::ServerWriter<v1::EvaluateResponse>* writer);

}  // namespace narthex::ingester
