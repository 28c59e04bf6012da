#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "libs/model/histogram.h"
#include "libs/storage/storage.h"

/// The histogram records of Prometheus's write-ahead log: types 7 to 10, and
/// 12 and 13 with start times.
namespace narthex::tsdb {

/// A histogram of the series that `ref` names.
struct RefHistogram {
  storage::SeriesRef ref = 0;
  std::int64_t timestamp_ms = 0;
  std::int64_t start_ms = 0;  ///< 0: not known.
  model::HistogramValue value;
};

/// Append a histogram, without time and reference, as records hold it.
void PutHistogram(const model::IntHistogram& histogram, std::string* out);
void PutHistogram(const model::FloatHistogram& histogram, std::string* out);

/// Appends up to four records to `*records`, one for each kind that occurs:
/// integer and float histograms, each without and with custom bounds. Those of
/// a kind of which one has a start time become one record that holds both
/// kinds of bounds; only newer versions of Prometheus read it.
void EncodeHistograms(absl::Span<const RefHistogram> histograms,
                      std::vector<std::string>* records);

/// Whether a record is of one of these types.
bool IsHistogramRecord(absl::string_view record);

/// Appends what a histogram record holds to `*out`. kDataLoss for a record
/// that is malformed; what was decoded before the flaw is then in `*out`.
/// Histograms of an unknown schema, or whose spans and buckets contradict each
/// other, are left out and added to `*skipped`.
absl::Status DecodeHistograms(absl::string_view record,
                              std::vector<RefHistogram>* out,
                              std::size_t* skipped);

}  // namespace narthex::tsdb
