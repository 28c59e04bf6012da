#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "libs/model/histogram.h"
#include "libs/model/sample.h"
#include "libs/storage/storage.h"
#include "libs/tsdb/postings.h"
#include "libs/tsdb/stored_sample.h"
#include "libs/tsdb/wal_histogram_records.h"
#include "libs/tsdb/wal_records.h"

namespace narthex::tsdb {

/// The samples of one series that came out of order: full chunks, which may
/// overlap, and a small sorted buffer that samples of all kinds are put into.
/// Not thread-safe; what Copy returns stays valid on its own.
class OutOfOrderSeries {
 public:
  struct Inserted {
    bool taken = false;  ///< False: the buffer holds a sample of this time.
    bool chunk_begun = false;
  };
  /// `capacity` is how many samples the buffer takes before it is made a
  /// chunk (`out_of_order_cap_max`).
  /// `start_ms`: when its counter began; 0: not known.
  Inserted Insert(std::int64_t timestamp_ms, double value, std::size_t capacity,
                  std::int64_t start_ms = 0);
  Inserted Insert(std::int64_t timestamp_ms, const model::HistogramValue& value,
                  std::size_t capacity, std::int64_t start_ms = 0);

  bool empty() const { return buffered() == 0 && full_.empty(); }
  std::size_t chunk_count() const {
    return full_.size() + (buffered() == 0 ? 0 : 1);
  }
  /// Bounds of all samples.
  storage::TimeRange range() const;

  /// Appends what overlaps `range` to `*chunks`, in no order.
  void Copy(const storage::TimeRange& range,
            std::vector<storage::Chunk>* chunks) const;
  /// Appends the bounds of these chunks to `*bounds`; of the buffer those of
  /// all its samples.
  void ListChunks(const storage::TimeRange& range,
                  std::vector<storage::TimeRange>* bounds) const;

  /// The full chunks that are on the heap, in the order they were cut.
  absl::Span<const storage::Chunk> heap_chunks() const {
    return absl::MakeConstSpan(full_).subspan(mapped_);
  }
  /// Replaces the first of these by an equal one that is held elsewhere.
  void ReplaceHeapChunk(storage::Chunk mapped);
  /// Appends the samples that are on the heap to these.
  void CopyHeapSamples(storage::SeriesRef ref, StartingSamples* samples,
                       std::vector<RefHistogram>* histograms) const;

  /// Makes the buffer a chunk. The chunks there are by then are sealed: until
  /// DropSealed they are the ones that CopySealed gives.
  void Seal();
  /// Bounds of the sealed ones; the minimum is above the maximum when there
  /// are none.
  storage::TimeRange sealed_range() const;
  void CopySealed(const storage::TimeRange& range,
                  std::vector<storage::Chunk>* chunks) const;
  /// Returns how many chunks are gone.
  std::size_t DropSealed();

 private:
  std::size_t buffered() const { return floats_.size() + others_.size(); }
  storage::TimeRange BufferedRange() const;
  // Makes room in the buffer; nothing is taken when it holds that time.
  Inserted Prepare(std::int64_t timestamp_ms, std::size_t capacity);
  void EncodeBuffered(std::vector<storage::Chunk>* chunks) const;
  void Cut();

  std::vector<storage::Chunk> full_;  // In the order they were cut.
  std::size_t sealed_ = 0;            // So many of them, from the first.
  std::size_t mapped_ = 0;            // Likewise: not on the heap.
  // The buffer, each ascending in time.
  std::vector<model::Sample> floats_;
  std::vector<StoredSample> others_;  // Histograms, floats with start times.
};

/// Those series of a shard that have samples out of order: few.
using OutOfOrderTable = absl::flat_hash_map<SeriesId, OutOfOrderSeries>;

}  // namespace narthex::tsdb
