#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/log.h"
#include "libs/tsdb/head.h"
#include "libs/tsdb/head_replay.h"
#include "libs/tsdb/wal.h"

namespace narthex::tsdb {

/// What files of full chunks gave back of a log that was damaged.
struct Recovered {
  std::uint64_t samples = 0;
  /// Chunks of series that the log no longer declares.
  std::uint64_t unknown_chunks = 0;
};

/// Adds to `head`, which is replayed, what the chunk files at `paths` (oldest
/// first) hold of its series behind the newest sample of each, and logs it in
/// `wal`: later starts need the log alone. Chunks of samples out of order are
/// left out, they have a log of their own. Damaged files are read up to the
/// damage, which is logged. `file_done` is called after each file.
absl::StatusOr<Recovered> RecoverFromChunkFiles(
    const std::vector<std::string>& paths, const OtherRefs& other_refs,
    Head& head, Wal& wal, const base::Logger& logger,
    const std::function<void()>& file_done);

/// The last of the chunks out of order that the files hold (see
/// HeadChunk::file_ref); 0 without any. Damaged files are read up to the
/// damage.
std::uint64_t LastOutOfOrderChunk(const std::vector<std::string>& paths);

/// Likewise adds what chunks of samples out of order behind `settled` hold and
/// the head does not, and logs it in `wbl`, the log of such samples.
absl::StatusOr<Recovered> RecoverOutOfOrder(
    const std::vector<std::string>& paths, std::uint64_t settled,
    const OtherRefs& other_refs, Head& head, Wal& wbl,
    const base::Logger& logger);

}  // namespace narthex::tsdb
