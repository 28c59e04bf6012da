#include "libs/tsdb/chunk_snapshot_records.h"

#include <bit>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/base/varint.h"
#include "libs/tsdb/chunk_header.h"
#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/histogram_chunk.h"
#include "libs/tsdb/start_chunks.h"
#include "libs/tsdb/wal_fields.h"
#include "libs/tsdb/wal_histogram_records.h"

namespace narthex::tsdb {
namespace {

// Versions of old kept the last four samples, each a time and a value. Of
// these only the last value is still used.
constexpr std::size_t kBytesBeforeLastValue = 3 * 16 + 8;

template <typename Chunk>
absl::Status PutLastHistogram(absl::string_view bytes, std::string* out) {
  NARTHEX_ASSIGN_OR_RETURN(const Chunk chunk, Chunk::Resume(bytes));
  PutHistogram(chunk.last(), out);
  return absl::OkStatus();
}

absl::Status CheckBounds(const storage::Chunk& chunk, std::int64_t min_ms,
                         std::int64_t max_ms) {
  if (chunk.min_ms == min_ms && chunk.max_ms == max_ms) return absl::OkStatus();
  return absl::DataLossError("a chunk's samples are not inside its bounds");
}

template <typename Chunk>
absl::Status CheckHistograms(const storage::Chunk& chunk) {
  NARTHEX_ASSIGN_OR_RETURN(const Chunk resumed, Chunk::Resume(chunk.bytes));
  std::vector<StoredSample> samples;
  NARTHEX_RETURN_IF_ERROR(
      DecodeHistogramChunk(chunk.encoding, chunk.bytes,
                           {model::kMinTime, model::kMaxTime}, &samples));
  for (std::size_t i = 1; i < samples.size(); ++i) {
    if (samples[i - 1].timestamp_ms >= samples[i].timestamp_ms) {
      return absl::DataLossError("the times of a chunk do not ascend");
    }
  }
  return CheckBounds(chunk, resumed.min_ms(), resumed.max_ms());
}

absl::Status CheckFloats(const storage::Chunk& chunk) {
  model::SampleColumns samples;
  NARTHEX_RETURN_IF_ERROR(
      DecodeChunk(chunk, {model::kMinTime, model::kMaxTime}, &samples));
  if (samples.empty()) return absl::DataLossError("a chunk has no samples");
  return CheckBounds(chunk, samples.timestamps_ms.front(),
                     samples.timestamps_ms.back());
}

}  // namespace

absl::Status EncodeSnapshotSeries(const SnapshotSeries& series,
                                  double last_value, std::string* out) {
  out->push_back(static_cast<char>(SnapshotRecordType::kSeries));
  base::PutBe64(series.declared.ref, out);
  PutLabels(series.declared.labels, out);
  base::PutBe64(0, out);  // Once the span of chunks.
  const storage::Chunk& chunk = series.newest;
  base::PutUvarint(chunk.bytes.empty() ? 0 : 1, out);
  if (chunk.bytes.empty()) return absl::OkStatus();
  base::PutBe64(static_cast<std::uint64_t>(chunk.min_ms), out);
  base::PutBe64(static_cast<std::uint64_t>(chunk.max_ms), out);
  out->push_back(static_cast<char>(chunk.encoding));
  base::PutUvarint(chunk.bytes.size(), out);
  out->append(chunk.bytes.data(), chunk.bytes.size());
  NARTHEX_ASSIGN_OR_RETURN(
      const storage::Chunk plain,
      IsHistogramEncoding(chunk.encoding) ? WithoutStartTimes(chunk) : chunk);
  switch (plain.encoding) {
    case storage::Encoding::kHistogram:
      return PutLastHistogram<HistogramChunk>(plain.bytes, out);
    case storage::Encoding::kFloatHistogram:
      return PutLastHistogram<FloatHistogramChunk>(plain.bytes, out);
    default:
      out->append(kBytesBeforeLastValue, '\0');
      base::PutBe64(std::bit_cast<std::uint64_t>(last_value), out);
      return absl::OkStatus();
  }
}

void EncodeSnapshotTombstones(const Tombstones& tombstones, std::string* out) {
  std::string stones;
  EncodeStones(tombstones, &stones);
  out->push_back(static_cast<char>(SnapshotRecordType::kTombstones));
  base::PutUvarint(stones.size(), out);
  out->append(stones);
}

void EncodeSnapshotExemplars(absl::Span<const RefExemplar> exemplars,
                             std::string* out) {
  // As in the log, but for the type.
  const std::size_t at = out->size();
  EncodeExemplars(exemplars, out);
  (*out)[at] = static_cast<char>(SnapshotRecordType::kExemplars);
}

absl::Status DecodeSnapshotSeries(absl::string_view record,
                                  SnapshotSeries* out) {
  base::ByteReader reader = BodyOfRecord(record);
  out->declared.ref = reader.Be64();
  if (!GetLabels(&reader, &out->declared.labels)) {
    return MalformedRecord("series", record);
  }
  reader.Be64();
  out->newest = storage::Chunk();
  if (reader.Uvarint() != 0) {
    out->newest.min_ms = static_cast<std::int64_t>(reader.Be64());
    out->newest.max_ms = static_cast<std::int64_t>(reader.Be64());
    out->newest.encoding = static_cast<storage::Encoding>(reader.Byte());
    out->newest.bytes = reader.UvarintBytes();
    // The last sample follows, which the chunk holds too.
    if (out->newest.bytes.empty()) return MalformedRecord("series", record);
  }
  return reader.ok() ? absl::OkStatus() : MalformedRecord("series", record);
}

absl::StatusOr<Tombstones> DecodeSnapshotTombstones(absl::string_view record) {
  base::ByteReader reader = BodyOfRecord(record);
  const absl::string_view stones = reader.UvarintBytes();
  if (!reader.ok()) return MalformedRecord("tombstones", record);
  return DecodeStones(stones);
}

absl::Status DecodeSnapshotExemplars(absl::string_view record,
                                     std::vector<RefExemplar>* out) {
  return DecodeExemplars(record, out);
}

absl::Status CheckSnapshotChunk(const storage::Chunk& chunk) {
  switch (chunk.encoding) {
    case storage::Encoding::kXor:
    case storage::Encoding::kXor2:
      return CheckFloats(chunk);
    case storage::Encoding::kHistogramSt:
    case storage::Encoding::kFloatHistogramSt: {
      NARTHEX_ASSIGN_OR_RETURN(const storage::Chunk plain,
                               WithoutStartTimes(chunk));
      return CheckSnapshotChunk(plain);
    }
    case storage::Encoding::kHistogram:
      return CheckHistograms<HistogramChunk>(chunk);
    case storage::Encoding::kFloatHistogram:
      return CheckHistograms<FloatHistogramChunk>(chunk);
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("chunks of encoding ", static_cast<int>(chunk.encoding),
                       " are not taken into the head"));
  }
}

}  // namespace narthex::tsdb
