#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/storage/storage.h"
#include "libs/tsdb/start_runs.h"

/// Chunks with and without start times. The head keeps those of a series
/// beside its chunks; whatever leaves it has them in the chunk, in an encoding
/// (XOR2, ST histograms) that Prometheus reads from 3.14 on.
namespace narthex::tsdb {

/// `chunk` with the start times of its samples; as it is when none is known or
/// it has some already. kDataLoss when it is corrupt.
absl::StatusOr<storage::Chunk> WithStartTimes(const storage::Chunk& chunk,
                                              const StartRuns& starts);

/// `chunk`, of XOR encoding, as an XOR2 chunk without start times. kDataLoss
/// when it is corrupt.
absl::StatusOr<storage::Chunk> AsXor2(const storage::Chunk& chunk);

/// `chunk` in the encoding without start times. kDataLoss when it is corrupt.
absl::StatusOr<storage::Chunk> WithoutStartTimes(const storage::Chunk& chunk);

/// Notes the start times in `chunk`, which is later than all that is noted.
absl::Status NoteStartTimes(const storage::Chunk& chunk, StartRuns* starts);

}  // namespace narthex::tsdb
