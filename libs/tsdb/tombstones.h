#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/storage/storage.h"

namespace narthex::tsdb {

/// Deleted times, both ends included, in ms: ascending, disjoint, not touching.
using Intervals = std::vector<storage::TimeRange>;

/// Adds `range`, joining what overlaps or touches it.
void AddInterval(const storage::TimeRange& range, Intervals* intervals);
/// Whether all of `range` is deleted.
bool Covers(const Intervals& intervals, const storage::TimeRange& range);
/// Whether some of `range` is deleted.
bool Overlaps(const Intervals& intervals, const storage::TimeRange& range);

/// Deleted intervals by series: the id of a block's series, or the reference
/// of a head's.
using Tombstones = std::map<storage::SeriesRef, Intervals>;

/// Number of intervals.
std::uint64_t CountIntervals(const Tombstones& tombstones);

/// Appends the intervals as they are stored: a byte for the version, then
/// each with its series.
void EncodeStones(const Tombstones& tombstones, std::string* out);
/// What EncodeStones wrote; kDataLoss when it is malformed, kInvalidArgument
/// when it is of a version that is not read.
absl::StatusOr<Tombstones> DecodeStones(absl::string_view encoded);

/// Reads `directory`/tombstones; empty when there is no such file. kDataLoss
/// when it is corrupt.
absl::StatusOr<Tombstones> ReadTombstones(const std::string& directory);
/// Replaces `directory`/tombstones in one step.
absl::Status WriteTombstones(const std::string& directory,
                             const Tombstones& tombstones);

}  // namespace narthex::tsdb
