#pragma once

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/storage/storage.h"
#include "libs/tsdb/tombstones.h"

namespace narthex::tsdb {

/// Replaces `*chunk` by one without the samples outside `range` and inside
/// `deleted`. False when nothing is left. kDataLoss when it is corrupt.
absl::StatusOr<bool> CutChunk(const storage::TimeRange& range,
                              const Intervals& deleted, storage::Chunk* chunk);

/// Adds the chunks `late` of a series to its others, without the samples inside
/// `deleted` and those at whose times the others have one: in order by time,
/// as late chunks may overlap.
absl::Status AddLate(std::vector<storage::Chunk> late, const Intervals& deleted,
                     std::vector<storage::Chunk>* chunks);

/// As storage::MergeChunkSeries, but of samples of one series and time that
/// of `first` counts: what came late changes nothing that was there before.
std::unique_ptr<storage::ChunkSeriesSet> MergeLate(
    std::unique_ptr<storage::ChunkSeriesSet> first,
    std::unique_ptr<storage::ChunkSeriesSet> late);

}  // namespace narthex::tsdb
