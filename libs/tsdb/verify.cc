#include "libs/tsdb/verify.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/crc32c.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/base/varint.h"
#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/chunk_snapshot_records.h"
#include "libs/tsdb/ulid.h"
#include "libs/tsdb/wal_directory.h"
#include "libs/tsdb/wal_histogram_records.h"
#include "libs/tsdb/wal_records.h"

namespace narthex::tsdb {
namespace {

constexpr std::uint32_t kHeadChunksMagic = 0x0130bc91;
constexpr std::uint8_t kHeadChunksVersion = 1;
constexpr std::size_t kHeadChunksHeaderBytes = 8;
// A bit of the encoding marks chunks of samples that came out of order.
constexpr std::uint8_t kEncodingBits = 0x7f;

template <typename T>
absl::Status DecodeAs(absl::Status (*decode)(absl::string_view,
                                             std::vector<T>*),
                      absl::string_view record) {
  std::vector<T> entries;
  return decode(record, &entries);
}

absl::Status DecodeRecord(absl::string_view record) {
  if (IsHistogramRecord(record)) {
    std::vector<RefHistogram> histograms;
    std::size_t skipped = 0;
    return DecodeHistograms(record, &histograms, &skipped);
  }
  switch (static_cast<WalRecordType>(WalRecordTypeOf(record))) {
    case WalRecordType::kSeries:
      return DecodeAs(DecodeSeries, record);
    case WalRecordType::kSamples:
    case WalRecordType::kSamplesV2: {
      std::vector<RefSample> samples;
      std::vector<std::int64_t> starts;
      return DecodeSamples(record, &samples, &starts);
    }
    case WalRecordType::kTombstones:
      return DecodeAs(DecodeTombstones, record);
    case WalRecordType::kExemplars:
      return DecodeAs(DecodeExemplars, record);
    case WalRecordType::kMmapMarkers:
      return DecodeAs(DecodeMmapMarkers, record);
    case WalRecordType::kMetadata:
      return DecodeAs(DecodeMetadata, record);
    default:
      return absl::DataLossError(
          absl::StrCat("record of unknown type ",
                       static_cast<int>(WalRecordTypeOf(record))));
  }
}

absl::Status DecodeSnapshotRecord(absl::string_view record) {
  switch (static_cast<SnapshotRecordType>(WalRecordTypeOf(record))) {
    case SnapshotRecordType::kSeries: {
      SnapshotSeries series;
      NARTHEX_RETURN_IF_ERROR(DecodeSnapshotSeries(record, &series));
      return series.newest.bytes.empty() ? absl::OkStatus()
                                         : CheckSnapshotChunk(series.newest);
    }
    case SnapshotRecordType::kTombstones:
      return DecodeSnapshotTombstones(record).status();
    case SnapshotRecordType::kExemplars:
      return DecodeAs(DecodeSnapshotExemplars, record);
  }
  return absl::DataLossError(absl::StrCat(
      "record of unknown type ", static_cast<int>(WalRecordTypeOf(record))));
}

using DecodeOne = absl::Status (*)(absl::string_view record);

void VerifySegments(const std::string& directory, DecodeOne decode,
                    VerifyReport* report) {
  const auto segments = ListWalSegments(directory);
  if (!segments.ok()) {
    report->Add(directory, segments.status().message());
    return;
  }
  for (std::size_t i = 0; i < segments->size(); ++i) {
    const int segment = (*segments)[i];
    const std::string path = WalSegmentPath(directory, segment);
    ++report->log_segments;
    if (i > 0 && segment != (*segments)[i - 1] + 1) {
      report->Add(path, "the segment before it is missing");
    }
    const auto flaw =
        ReadWalSegment(directory, segment, [&](absl::string_view record) {
          ++report->log_records;
          return decode(record);
        });
    if (!flaw.ok()) {
      report->Add(path, flaw.status().message());
    } else if (flaw->has_value()) {
      report->Add(path, absl::StrCat("offset ", (*flaw)->offset, ": ",
                                     (*flaw)->reason.message()));
    }
  }
}

// Reads one chunk; false at the end of what was written.
bool NextHeadChunk(const std::string& path, absl::string_view file,
                   std::size_t* at, VerifyReport* report) {
  const absl::string_view rest = file.substr(*at);
  base::ByteReader reader(rest);
  const std::uint64_t ref = reader.Be64();
  const bool zero =
      std::all_of(rest.begin(), rest.end(), [](char c) { return c == '\0'; });
  if (rest.empty() || (ref == 0 && zero)) return false;
  storage::Chunk chunk;
  chunk.min_ms = static_cast<std::int64_t>(reader.Be64());
  chunk.max_ms = static_cast<std::int64_t>(reader.Be64());
  chunk.encoding =
      static_cast<storage::Encoding>(reader.Byte() & kEncodingBits);
  chunk.bytes = reader.UvarintBytes();
  const std::size_t checked = rest.size() - reader.remaining();
  const std::uint32_t crc = reader.Be32();
  const std::string where = absl::StrCat(path, ": offset ", *at);
  if (!reader.ok()) {
    report->Add(where, "chunk cut off");
    return false;
  }
  ++report->head_chunks;
  *at = file.size() - reader.remaining();
  if (base::Crc32c(rest.substr(0, checked)) != crc) {
    report->Add(where, "chunk checksum mismatch");
    return true;
  }
  model::SampleColumns samples;
  const absl::Status status =
      DecodeChunk(chunk, {model::kMinTime, model::kMaxTime}, &samples);
  if (!status.ok()) {
    report->Add(where, status.message());
  } else if (samples.empty() || samples.timestamps_ms.front() != chunk.min_ms ||
             samples.timestamps_ms.back() != chunk.max_ms) {
    report->Add(where, "the samples are not where the header says");
  }
  return true;
}

// Returns the bytes in use.
std::uint64_t VerifyHeadChunkFile(const std::string& path,
                                  VerifyReport* report) {
  const auto file = base::MappedFile::Open(path);
  if (!file.ok()) {
    report->Add(path, file.status().message());
    return 0;
  }
  const absl::string_view data = file->data();
  if (data.empty()) return 0;  // Made, not yet written.
  base::ByteReader header(data);
  if (header.Be32() != kHeadChunksMagic) {
    report->Add(path, "offset 0: bad magic number");
    return 0;
  }
  if (header.Byte() != kHeadChunksVersion ||
      data.size() < kHeadChunksHeaderBytes) {
    report->Add(path, "offset 4: unknown version");
    return 0;
  }
  std::size_t at = kHeadChunksHeaderBytes;
  while (at < data.size() && NextHeadChunk(path, data, &at, report)) {
  }
  return at;
}

}  // namespace

void VerifyReport::Add(absl::string_view where, absl::string_view what) {
  if (findings.size() >= kMostFindings) {
    ++more_findings;
    return;
  }
  // Most messages name the file themselves.
  findings.push_back(absl::StartsWith(what, where)
                         ? std::string(what)
                         : absl::StrCat(where, ": ", what));
}

void VerifyLog(const std::string& directory, VerifyReport* report) {
  const auto checkpoints = ListWalCheckpoints(directory);
  if (checkpoints.ok()) {
    for (const WalCheckpoint& checkpoint : *checkpoints) {
      VerifySegments(checkpoint.path, DecodeRecord, report);
    }
  }
  VerifySegments(directory, DecodeRecord, report);
}

std::uint64_t VerifyHeadChunks(const std::string& directory,
                               VerifyReport* report) {
  const auto names = base::ListDirectory(directory);
  if (!names.ok()) {
    if (!absl::IsNotFound(names.status())) {
      report->Add(directory, names.status().message());
    }
    return 0;
  }
  std::uint64_t bytes = 0;
  for (const std::string& name : *names) {
    if (!std::all_of(name.begin(), name.end(), absl::ascii_isdigit)) continue;
    bytes += VerifyHeadChunkFile(absl::StrCat(directory, "/", name), report);
  }
  return bytes;
}

void VerifyChunkSnapshot(const ChunkSnapshot& snapshot,
                         std::uint64_t head_chunk_bytes, VerifyReport* report) {
  VerifySegments(snapshot.path, DecodeSnapshotRecord, report);
  const auto references = ReadSnapshotReferences(snapshot);
  if (!references.ok() && !absl::IsNotFound(references.status())) {
    report->Add(snapshot.path, references.status().message());
  }
  if (references.ok() && head_chunk_bytes < references->full_bytes) {
    report->Add(snapshot.path,
                absl::StrCat("relies on ", references->full_bytes,
                             " bytes of head chunks, of which there are ",
                             head_chunk_bytes));
  }
}

absl::StatusOr<VerifyReport> VerifyDirectory(const std::string& directory) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                           base::ListDirectory(directory));
  VerifyReport report;
  for (const std::string& name : names) {
    if (!Ulid::Parse(name).ok()) continue;
    VerifyBlock(absl::StrCat(directory, "/", name), &report);
  }
  const std::uint64_t head_chunk_bytes =
      VerifyHeadChunks(absl::StrCat(directory, "/chunks_head"), &report);
  VerifyLog(absl::StrCat(directory, "/wal"), &report);
  VerifyLog(absl::StrCat(directory, "/wbl"), &report);
  NARTHEX_ASSIGN_OR_RETURN(const std::optional<ChunkSnapshot> snapshot,
                           FindChunkSnapshot(directory));
  if (snapshot.has_value()) {
    VerifyChunkSnapshot(*snapshot, head_chunk_bytes, &report);
  }
  return report;
}

}  // namespace narthex::tsdb
