#pragma once

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "libs/model/sample.h"
#include "libs/storage/storage.h"

namespace narthex::tsdb {

/// Appends the samples of one chunk inside `range` to `*out`. kDataLoss for
/// corrupt bytes or an unknown encoding; `*out` is then as before.
absl::Status DecodeChunk(const storage::Chunk& chunk,
                         const storage::TimeRange& range,
                         model::SampleColumns* out);

/// Appends the samples of `chunks` (ascending by min_ms, may overlap) inside
/// `range` to `*out`: ascending, one per timestamp (of several, that of the
/// first chunk). Requires: what `*out` holds is before them.
absl::Status DecodeChunks(const std::vector<storage::Chunk>& chunks,
                          const storage::TimeRange& range,
                          model::SampleColumns* out);

/// Encodes samples (ascending) as chunks of at most `samples_per_chunk`, each
/// owning its bytes, and appends them to `*chunks`; as EncodeStored.
void EncodeChunks(const model::SampleColumns& samples, int samples_per_chunk,
                  std::vector<storage::Chunk>* chunks);

/// The series of `set` to be read as samples inside `range`.
std::unique_ptr<storage::SeriesSet> DecodeSeriesSet(
    std::unique_ptr<storage::ChunkSeriesSet> set, storage::TimeRange range);

}  // namespace narthex::tsdb
