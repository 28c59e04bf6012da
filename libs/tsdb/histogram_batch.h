#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "libs/model/histogram.h"
#include "libs/storage/storage.h"
#include "libs/tsdb/postings.h"
#include "libs/tsdb/wal_histogram_records.h"
#include "libs/tsdb/wal_records.h"

namespace narthex::tsdb {

/// Reduces what is stale to its marker. False when the histogram is invalid.
bool MakeStorable(RefHistogram* sample);

/// The native histograms of a batch on their way into the head.
class HistogramBatch {
 public:
  struct Item {
    RefHistogram sample;
    std::size_t number = 0;  ///< In the batch.
    bool taken = true;       ///< It is (still) to be stored.
    bool out_of_order = false;
  };

  /// `first` is the number of the first one.
  HistogramBatch(absl::Span<const RefHistogram> samples, std::size_t first);

  /// Adds the end of a series of histograms, which came as a float.
  void AddStale(const RefSample& marker, std::size_t number, bool integer);

  /// Stores them without their start times.
  void ForgetStarts() {
    for (Item& item : items) item.sample.start_ms = 0;
  }

  void Reject(Item& item, storage::RejectReason reason) {
    item.taken = false;
    rejected.push_back({item.number, reason});
  }

  /// Those taken, in or out of order.
  std::vector<RefHistogram> Taken(bool out_of_order) const;

  std::vector<Item> items;
  /// Inserted out of order, though logged as in order.
  std::vector<RefHistogram> late;
  std::vector<storage::Rejection> rejected;
  std::vector<SeriesId> undeclared;  ///< Not yet in the write-ahead log.
};

}  // namespace narthex::tsdb
