#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace narthex::tsdb {

/// Numbers of the segments in a directory, ascending. Empty when the
/// directory does not exist.
absl::StatusOr<std::vector<int>> ListWalSegments(const std::string& directory);
/// kFailedPrecondition when one is missing between those of the list: what
/// follows would be read as if nothing had come before. Somebody has to bring
/// it back, or to remove what is behind.
absl::Status CheckSegmentsFollow(const std::string& directory,
                                 const std::vector<int>& segments);
std::string WalSegmentPath(const std::string& directory, int segment);

/// Bytes of all files in a log's directory and in its checkpoints.
std::uint64_t WalDirectoryBytes(const std::string& directory);

/// A place between records of a log.
struct WalPosition {
  int segment = 0;
  std::uint64_t offset = 0;
};

/// A digest of the segments up to and including `segment`.
struct WalCheckpoint {
  int segment = 0;
  std::string path;
};

/// All checkpoints, oldest first; unfinished ones are left out.
absl::StatusOr<std::vector<WalCheckpoint>> ListWalCheckpoints(
    const std::string& directory);
std::string WalCheckpointPath(const std::string& directory, int segment);

/// Where and why reading ended before the end.
struct WalFlaw {
  int segment = 0;
  std::uint64_t offset = 0;  ///< The end of the last good record.
  absl::Status reason;
};

/// Gets every record in order; an error other than kDataLoss ends the reading,
/// kDataLoss counts as a flaw of the segment at the record's start.
using WalVisit = std::function<absl::Status(absl::string_view record)>;

/// Reads one segment. Nothing when all of it was good.
absl::StatusOr<std::optional<WalFlaw>> ReadWalSegment(
    const std::string& directory, int segment, const WalVisit& visit);

/// Cuts the flawed segment back to its good records and removes all segments
/// after it, as Prometheus does: what they refer to may be lost.
absl::Status RepairWal(const std::string& directory, const WalFlaw& flaw);

}  // namespace narthex::tsdb
