#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "libs/storage/storage.h"
#include "libs/tsdb/tombstones.h"

namespace narthex::tsdb {

/// Replaces `*chunk` by one without the samples outside `range` and inside
/// `deleted`. False when nothing is left. kDataLoss when it is corrupt.
absl::StatusOr<bool> CutChunk(const storage::TimeRange& range,
                              const Intervals& deleted, storage::Chunk* chunk);

/// Adds to `*repeated` the times of `late` at which the other chunks have
/// samples too.
absl::Status AddRepeated(absl::Span<const storage::Chunk> chunks,
                         const storage::Chunk& late, Intervals* repeated);

/// As storage::MergeChunkSeries, but of samples of one series and time that
/// of `first` counts: what came late changes nothing that was there before.
std::unique_ptr<storage::ChunkSeriesSet> MergeLate(
    std::unique_ptr<storage::ChunkSeriesSet> first,
    std::unique_ptr<storage::ChunkSeriesSet> late);

}  // namespace narthex::tsdb
