#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "libs/model/labels.h"
#include "libs/storage/storage.h"

/// The records of Prometheus's write-ahead log, before framing and
/// compression. All numbers are big-endian, all deltas zigzag varints.
namespace narthex::tsdb {

/// A sample of the series that `ref` names.
struct RefSample {
  storage::SeriesRef ref = 0;
  std::int64_t timestamp_ms = 0;
  double value = 0;
};

/// Samples of which some have a time at which their counter began.
struct StartingSamples {
  std::vector<RefSample> samples;
  std::vector<std::int64_t> starts_ms;  ///< As many (0: not known), or none.

  void Add(const RefSample& sample, std::int64_t start_ms) {
    if (start_ms != 0 || !starts_ms.empty()) {
      starts_ms.resize(samples.size());
      starts_ms.push_back(start_ms);
    }
    samples.push_back(sample);
  }
};

/// Declares that `ref` stands for `labels`.
struct RefSeries {
  storage::SeriesRef ref = 0;
  model::Labels labels;
};

/// Deletes the samples of a series inside `range`.
struct RefTombstone {
  storage::SeriesRef ref = 0;
  storage::TimeRange range;
};

/// The start of a deletion that says: all samples up to its end went into
/// blocks, and the series left the head. Other deletions begin at samples.
inline constexpr std::int64_t kMovedIntoBlocks =
    std::numeric_limits<std::int64_t>::min();

/// What the scraped target says about a series.
struct RefMetadata {
  storage::SeriesRef ref = 0;
  std::uint8_t type = 0;
  std::string unit;
  std::string help;
};

/// An exemplar of a series.
struct RefExemplar {
  storage::SeriesRef ref = 0;
  std::int64_t timestamp_ms = 0;
  double value = 0;
  model::Labels labels;
  /// The timestamp is its own, as in model::Exemplar. Not in the record.
  bool has_timestamp = true;
};

/// Says that the out-of-order samples of a series up to this record are in a
/// chunk of the head's chunk files: file number << 32 | offset in it.
struct RefMmapMarker {
  storage::SeriesRef ref = 0;
  std::uint64_t chunk_ref = 0;
};

/// The first byte of a record. Those of histograms are in
/// wal_histogram_records.h.
enum class WalRecordType : std::uint8_t {
  kSeries = 1,
  kSamples = 2,
  kTombstones = 3,
  kExemplars = 4,
  kMmapMarkers = 5,
  kMetadata = 6,
  kHistograms = 7,
  kFloatHistograms = 8,
  kCustomBucketHistograms = 9,
  kCustomBucketFloatHistograms = 10,
  // With start times, as newer versions of Prometheus write on request.
  kSamplesV2 = 11,
  kHistogramsV2 = 12,
  kFloatHistogramsV2 = 13,
};

/// The type byte of a record; 0 for an empty one.
std::uint8_t WalRecordTypeOf(absl::string_view record);

/// Append one record to `*out`. Nothing is written for an empty list of
/// samples, otherwise samples may come in any order.
void EncodeSeries(absl::Span<const RefSeries> series, std::string* out);
void EncodeSamples(absl::Span<const RefSample> samples, std::string* out);
void EncodeTombstones(absl::Span<const RefTombstone> tombstones,
                      std::string* out);
void EncodeMetadata(absl::Span<const RefMetadata> metadata, std::string* out);
void EncodeExemplars(absl::Span<const RefExemplar> exemplars, std::string* out);
void EncodeMmapMarkers(absl::Span<const RefMmapMarker> markers,
                       std::string* out);
/// As a record of type 11 if a start time is known, else of type 2.
void EncodeSamples(absl::Span<const RefSample> samples,
                   absl::Span<const std::int64_t> starts_ms, std::string* out);
/// Samples with as many start times (0: not known), as a record of type 11.
void EncodeStartingSamples(absl::Span<const RefSample> samples,
                           absl::Span<const std::int64_t> starts_ms,
                           std::string* out);

/// Append what a record holds to `*out`. kDataLoss for a record that is
/// malformed; what was decoded before the flaw is then in `*out`.
absl::Status DecodeSeries(absl::string_view record,
                          std::vector<RefSeries>* out);
/// Also of type 11; `*starts_ms`, if wanted, is then filled up to the length
/// of `*out`, otherwise it is left alone.
absl::Status DecodeSamples(absl::string_view record,
                           std::vector<RefSample>* out,
                           std::vector<std::int64_t>* starts_ms = nullptr);
absl::Status DecodeTombstones(absl::string_view record,
                              std::vector<RefTombstone>* out);
absl::Status DecodeMetadata(absl::string_view record,
                            std::vector<RefMetadata>* out);
absl::Status DecodeExemplars(absl::string_view record,
                             std::vector<RefExemplar>* out);
absl::Status DecodeMmapMarkers(absl::string_view record,
                               std::vector<RefMmapMarker>* out);

}  // namespace narthex::tsdb
