#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "libs/model/histogram.h"
#include "libs/model/sample.h"
#include "libs/storage/storage.h"

namespace narthex::tsdb {

/// A sample as a chunk stores it: what is needed to encode it again without
/// loss, which columns of floats and float histograms are not.
struct StoredSample {
  std::int64_t timestamp_ms = 0;
  std::int64_t start_ms = 0;  ///< 0: not known.
  double value = 0;           ///< Only of floats.
  /// Neither of both is set for a float.
  model::HistogramValue histogram = {};

  bool is_float() const {
    return histogram.integer == nullptr && histogram.floating == nullptr;
  }
};

/// Appends the samples of one chunk inside `range` to `*out`. kDataLoss for
/// corrupt bytes or an unknown encoding; `*out` is then as before.
absl::Status DecodeStored(const storage::Chunk& chunk,
                          const storage::TimeRange& range,
                          std::vector<StoredSample>* out);

/// Merges the samples of chunks that may overlap: ascending, one per timestamp
/// (of several, that of the first chunk). Where samples of different chunks
/// meet it becomes unknown whether the counter was reset.
absl::Status MergeStored(const std::vector<storage::Chunk>& chunks,
                         std::vector<StoredSample>* out);

/// Encodes samples (ascending) as chunks of at most `samples_per_chunk`, each
/// owning its bytes, and appends them to `*chunks`; with start times, in an
/// encoding that holds them, where some are known. A chunk also ends where
/// the kind of sample changes or a histogram must begin a new one.
void EncodeStored(const std::vector<StoredSample>& samples,
                  int samples_per_chunk, std::vector<storage::Chunk>* chunks);

}  // namespace narthex::tsdb
