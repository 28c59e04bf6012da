// What is read from a data directory.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/tsdb/block_meta.h"
#include "libs/tsdb/block_writer.h"
#include "libs/tsdb/chunk_header.h"
#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/chunk_snapshot_records.h"
#include "libs/tsdb/histogram_chunk.h"
#include "libs/tsdb/index_reader.h"
#include "libs/tsdb/tombstones.h"
#include "libs/tsdb/verify.h"
#include "libs/tsdb/wal_frames.h"
#include "libs/tsdb/wal_histogram_records.h"
#include "libs/tsdb/wal_records.h"
#include "libs/tsdb/xor_chunk.h"
#include "tests/fuzz/checksums.h"
#include "tests/fuzz/fuzz_target.h"

namespace narthex::fuzz {
namespace {

using tsdb::DecodeChunk;

constexpr std::int64_t kStart = 1700006400000;
constexpr storage::TimeRange kAllTime = {model::kMinTime, model::kMaxTime};

// Content as a file with a path, in memory.
class MemoryFile {
 public:
  explicit MemoryFile(absl::string_view content)
      : fd_(::memfd_create("fuzz", 0)) {
    Require(base::WriteAll(fd_.get(), content, "memory").ok(), "no memory");
  }
  std::string path() const { return absl::StrCat("/proc/self/fd/", fd_.get()); }

 private:
  base::UniqueFd fd_;
};

// Write-ahead log.

void DecodeRecord(absl::string_view record) {
  std::vector<tsdb::RefSeries> series;
  std::vector<tsdb::RefSample> samples;
  std::vector<tsdb::RefTombstone> tombstones;
  std::vector<tsdb::RefMetadata> metadata;
  std::vector<tsdb::RefExemplar> exemplars;
  std::vector<tsdb::RefMmapMarker> markers;
  std::vector<std::int64_t> starts;
  if (tsdb::DecodeSeries(record, &series).ok() && !series.empty()) {
    std::string again;
    tsdb::EncodeSeries(series, &again);
    std::vector<tsdb::RefSeries> twice;
    Require(tsdb::DecodeSeries(again, &twice).ok() &&
                twice.size() == series.size() &&
                twice.back().labels == series.back().labels,
            "series change when they are encoded again");
  }
  if (tsdb::DecodeSamples(record, &samples, &starts).ok() && !samples.empty()) {
    std::string again;
    tsdb::EncodeSamples(samples, &again);
    std::vector<tsdb::RefSample> twice;
    Require(tsdb::DecodeSamples(again, &twice).ok() &&
                twice.size() == samples.size() &&
                twice.back().ref == samples.back().ref &&
                twice.back().timestamp_ms == samples.back().timestamp_ms,
            "samples change when they are encoded again");
  }
  tsdb::DecodeTombstones(record, &tombstones).IgnoreError();
  tsdb::DecodeMetadata(record, &metadata).IgnoreError();
  tsdb::DecodeExemplars(record, &exemplars).IgnoreError();
  tsdb::DecodeMmapMarkers(record, &markers).IgnoreError();
  std::vector<tsdb::RefHistogram> histograms;
  std::size_t skipped = 0;
  tsdb::DecodeHistograms(record, &histograms, &skipped).IgnoreError();
  for (const tsdb::RefHistogram& histogram : histograms) {
    const bool valid = histogram.value.integer != nullptr
                           ? histogram.value.integer->ToFloat().schema ==
                                 histogram.value.integer->schema
                           : histogram.value.floating != nullptr;
    Require(valid, "a histogram that is none");
  }
}

void RunWalRecord(absl::string_view input) { DecodeRecord(input); }

void RunWalSegment(absl::string_view input) {
  std::string segment(input);
  FixWalChecksums(&segment);
  tsdb::WalSegmentReader reader(segment);
  std::uint64_t last = 0;
  while (reader.Next()) {
    Require(reader.offset() > last && reader.offset() <= segment.size(),
            "the offset of a record does not ascend");
    last = reader.offset();
    DecodeRecord(reader.record());
  }
}

std::vector<std::string> WalRecords() {
  std::vector<std::string> records(7);
  tsdb::EncodeSeries({{{1, {{"__name__", "up"}, {"job", "node"}}},
                       {2, {{"__name__", "down"}, {"x", "\xe2\x82\xac"}}}}},
                     &records[0]);
  tsdb::EncodeSamples({{{1, kStart, 1.5}, {2, kStart + 1, -0.0}, {1, 5, 7}}},
                      &records[1]);
  tsdb::EncodeTombstones({{{1, {kStart, kStart + 5}}, {9, kAllTime}}},
                         &records[2]);
  tsdb::EncodeMetadata({{{1, 2, "seconds", "How long."}}}, &records[3]);
  return records;
}

std::vector<std::string> WalSegments() {
  std::vector<std::string> segments;
  for (const auto compression :
       {tsdb::WalCompression::kNone, tsdb::WalCompression::kSnappy,
        tsdb::WalCompression::kZstd}) {
    std::string segment;
    for (const std::string& record : WalRecords()) {
      tsdb::FramePayload(tsdb::CompressRecord(record, compression),
                         segment.size(), &segment);
      // Long enough to be compressed.
      std::string many;
      for (int i = 0; i < 30; ++i) many += record;
      tsdb::FramePayload(tsdb::CompressRecord(many, compression),
                         segment.size(), &segment);
    }
    segments.push_back(segment);
  }
  // A record over the end of a page.
  std::string segment(tsdb::kWalPageBytes - 20, '\1');
  std::string samples;
  tsdb::EncodeSamples({{{1, kStart, 1}, {2, kStart, 2}, {3, kStart, 3}}},
                      &samples);
  std::string first;
  tsdb::FramePayload(
      {tsdb::WalCompression::kNone, segment.substr(0, segment.size() - 7)}, 0,
      &first);
  tsdb::FramePayload({tsdb::WalCompression::kNone, samples}, first.size(),
                     &first);
  segments.push_back(first);
  return segments;
}

// Chunks: the first byte of the input is the encoding.

void RunChunk(absl::string_view input) {
  if (input.empty()) return;
  storage::Chunk chunk;
  chunk.encoding = static_cast<storage::Encoding>(input[0]);
  chunk.bytes = input.substr(1);
  model::SampleColumns all;
  const bool ok = DecodeChunk(chunk, kAllTime, &all).ok();
  const auto count = tsdb::ChunkSampleCount(chunk.encoding, chunk.bytes);
  if (chunk.encoding == storage::Encoding::kXor) {
    tsdb::XorChunk::Resume(chunk.bytes).status().IgnoreError();
  }
  if (!ok) {
    Require(all.empty(), "samples of a chunk that was not decoded");
    return;
  }
  Require(count.ok() && all.size() == static_cast<std::size_t>(*count),
          "another number of samples than the header says");
  Require(std::is_sorted(all.timestamps_ms.begin(), all.timestamps_ms.end()),
          "samples not in order");
  if (all.size() < 3) return;
  const storage::TimeRange range{all.timestamps_ms[1],
                                 all.timestamps_ms[all.size() - 2]};
  model::SampleColumns some;
  Require(DecodeChunk(chunk, range, &some).ok(),
          "a range of a good chunk was not decoded");
  Require(some.size() == all.size() - 2 &&
              std::equal(some.timestamps_ms.begin(), some.timestamps_ms.end(),
                         all.timestamps_ms.begin() + 1),
          "a range of a chunk is not what is inside the range");
}

std::vector<std::string> Chunks() {
  std::vector<std::string> chunks;
  for (int shape = 0; shape < 4; ++shape) {
    tsdb::XorChunk chunk;
    for (int i = 0; i < 30; ++i) {
      const double value = shape == 0   ? 1.0
                           : shape == 1 ? i * 10.0
                           : shape == 2 ? i * 0.371
                                        : (i % 2 == 0 ? model::StaleNan() : 7);
      chunk.Append(kStart + i * 15000 + (shape == 3 ? i * i * i * 977 : 0),
                   value);
    }
    chunks.push_back(absl::StrCat(std::string(1, '\1'), chunk.bytes()));
  }
  for (const std::string& file :
       SharedFiles("tsdb/golden/*/chunks/*", 1 << 20)) {
    // Segments hold chunks of every encoding behind their headers.
    std::size_t at = 8;
    while (at + 6 < file.size() && chunks.size() < 60) {
      const auto size = static_cast<unsigned char>(file[at]);
      const std::size_t header = size < 0x80 ? 1 : 2;
      const std::size_t length =
          size < 0x80 ? size
                      : (size & 0x7fU) +
                            128U * static_cast<unsigned char>(file[at + 1]);
      chunks.push_back(file.substr(at + header, length + 1));
      at += header + length + 1 + 4;
    }
  }
  return chunks;
}

// Indexes.

void RunIndex(absl::string_view input) {
  std::string content(input);
  FixIndexChecksums(&content);
  const MemoryFile file(content);
  const auto index = tsdb::IndexReader::Open(file.path());
  if (!index.ok()) return;
  constexpr int kMostSeries = 200;
  int budget = kMostSeries;
  const auto read = [&](const absl::StatusOr<tsdb::PostingsView>& list) {
    if (!list.ok()) return;
    model::Labels labels;
    std::vector<tsdb::ChunkMeta> chunks;
    for (std::size_t i = 0; i < list->size() && budget > 0; ++i, --budget) {
      (*index)->Series((*list)[i], &labels, &chunks).IgnoreError();
      (*index)->LabelValue((*list)[i], "job").status().IgnoreError();
    }
  };
  read((*index)->All());
  read((*index)->Find("job", "node"));
  for (const std::string& name : (*index)->LabelNames()) {
    (*index)
        ->ForEachValue(
            name, "",
            [&](absl::string_view,
                const tsdb::PostingsSource::Fetch& fetch) -> absl::Status {
              read(fetch());
              return budget > 0 ? absl::OkStatus()
                                : absl::CancelledError("enough");
            })
        .IgnoreError();
    (*index)->LabelValues(name).status().IgnoreError();
    if (budget <= 0) break;
  }
  for (std::uint32_t i = 0; i < 20; ++i) {
    (*index)->Symbol(i * 7).status().IgnoreError();
  }
}

// A block of a few series, and its directory.
std::string WriteBlock(const base::TemporaryDirectory& directory) {
  tsdb::BlockMeta meta;
  meta.ulid = tsdb::Ulid::New(kStart);
  meta.min_ms = kStart;
  meta.max_ms = kStart + 7200000;
  auto writer = tsdb::BlockWriter::Create(directory.path(), meta);
  Require(writer.ok(), "no block");
  for (int i = 0; i < 12; ++i) {
    tsdb::XorChunk chunk;
    for (int t = 0; t < 5; ++t) chunk.Append(kStart + t * 15000, t * i);
    storage::Chunk stored{kStart, kStart + 60000, storage::Encoding::kXor,
                          chunk.bytes(), nullptr};
    Require((*writer)
                ->AddSeries({{"__name__", "up"},
                             {"instance", absl::StrCat("host-", 10 + i)},
                             {"job", i % 2 == 0 ? "node" : "other"}},
                            {&stored, 1})
                .ok(),
            "no series");
  }
  Require((*writer)->Finish().ok(), "no block");
  return absl::StrCat(directory.path(), "/", meta.ulid.ToString());
}

std::vector<std::string> Indexes() {
  const base::TemporaryDirectory directory;
  std::vector<std::string> indexes = {
      *base::ReadFile(WriteBlock(directory) + "/index")};
  for (const char* pattern : {"tsdb/golden/*/index", "tsdb/upstream/*/index",
                              "tsdb/upstream/*/*/index"}) {
    for (std::string& index : SharedFiles(pattern)) {
      indexes.push_back(std::move(index));
    }
  }
  return indexes;
}

// Tombstones and meta.json.

void RunTombstones(absl::string_view input) {
  static const base::TemporaryDirectory directory;
  std::string content(input);
  FixTombstonesChecksum(&content);
  const std::string path = directory.path() + "/tombstones";
  ::unlink(path.c_str());
  const MemoryFile file(content);
  Require(::symlink(file.path().c_str(), path.c_str()) == 0, "no link");
  const auto tombstones = tsdb::ReadTombstones(directory.path());
  if (!tombstones.ok()) return;
  for (const auto& [ref, intervals] : *tombstones) {
    for (std::size_t i = 0; i < intervals.size(); ++i) {
      Require(intervals[i].min_ms <= intervals[i].max_ms, "an empty interval");
      Require(i == 0 || intervals[i].min_ms > intervals[i - 1].max_ms,
              "intervals not in order");
    }
  }
}

std::vector<std::string> TombstoneFiles() {
  const base::TemporaryDirectory directory;
  Require(tsdb::WriteTombstones(directory.path(),
                                {{7, {{kStart, kStart + 10}}},
                                 {300, {{1, 2}, {5, 9}, {kStart, kStart}}}})
              .ok(),
          "no tombstones");
  return {*base::ReadFile(directory.path() + "/tombstones")};
}

void RunSnapshotRecord(absl::string_view input) {
  tsdb::SnapshotSeries series;
  if (tsdb::DecodeSnapshotSeries(input, &series).ok() &&
      !series.newest.bytes.empty() &&
      tsdb::CheckSnapshotChunk(series.newest).ok()) {
    std::string record;
    Require(tsdb::EncodeSnapshotSeries(series, 1, &record).ok(),
            "a good chunk is not encoded");
    tsdb::SnapshotSeries again;
    Require(tsdb::DecodeSnapshotSeries(record, &again).ok() &&
                again.declared.labels == series.declared.labels &&
                again.newest.bytes == series.newest.bytes,
            "a series changes when encoded");
  }
  std::vector<tsdb::RefExemplar> exemplars;
  tsdb::DecodeSnapshotExemplars(input, &exemplars).IgnoreError();
  const auto tombstones = tsdb::DecodeSnapshotTombstones(input);
  if (!tombstones.ok()) return;
  std::string record;
  tsdb::EncodeSnapshotTombstones(*tombstones, &record);
  const auto again = tsdb::DecodeSnapshotTombstones(record);
  Require(again.ok() &&
              tsdb::CountIntervals(*again) == tsdb::CountIntervals(*tombstones),
          "deletions change when encoded");
}

std::vector<std::string> SnapshotRecords() {
  std::vector<std::string> records(1);
  tsdb::EncodeSnapshotTombstones({{7, {{kStart, kStart + 10}}}}, &records[0]);
  records.emplace_back();
  const tsdb::RefExemplar exemplar{3, kStart, 0.5,
                                   model::Labels({{"trace", "x"}})};
  tsdb::EncodeSnapshotExemplars({&exemplar, 1}, &records[1]);
  const auto add = [&records](storage::Encoding encoding, std::int64_t max_ms,
                              absl::string_view bytes) {
    tsdb::SnapshotSeries series;
    series.declared = {9, model::Labels({{"__name__", "a"}, {"b", "c"}})};
    series.newest = {kStart, max_ms, encoding, bytes, nullptr};
    records.emplace_back();
    Require(tsdb::EncodeSnapshotSeries(series, 2, &records.back()).ok(),
            "no record");
  };
  tsdb::XorChunk floats;
  floats.Append(kStart, 1);
  floats.Append(kStart + 15, 2);
  add(storage::Encoding::kXor, kStart + 15, floats.bytes());
  model::IntHistogram histogram;
  histogram.count = 3;
  histogram.zero_count = 3;
  const tsdb::HistogramChunk integers(kStart, histogram);
  add(storage::Encoding::kHistogram, kStart, integers.bytes());
  const tsdb::FloatHistogramChunk halves(kStart, histogram.ToFloat());
  add(storage::Encoding::kFloatHistogram, kStart, halves.bytes());
  return records;
}

void RunMeta(absl::string_view input) {
  const auto meta = tsdb::ParseBlockMeta(input);
  if (!meta.ok()) return;
  const auto again = tsdb::ParseBlockMeta(tsdb::FormatBlockMeta(*meta));
  Require(again.ok() && *again == *meta, "meta.json changes when printed");
}

std::vector<std::string> Metas() {
  std::vector<std::string> metas = SharedFiles("tsdb/*/*/meta.json");
  tsdb::BlockMeta meta;
  meta.ulid = tsdb::Ulid::New(kStart);
  meta.compaction.sources = {meta.ulid};
  meta.compaction.parents = {{meta.ulid, 1, 2}};
  meta.compaction.hints = {"from-out-of-order"};
  meta.stats = {1, 2, 3, 4, 5, 6};
  metas.push_back(tsdb::FormatBlockMeta(meta));
  return metas;
}

void RunHeadChunks(absl::string_view input) {
  static const base::TemporaryDirectory directory;
  const std::string path = directory.path() + "/000001";
  ::unlink(path.c_str());
  const MemoryFile file(input);
  Require(::symlink(file.path().c_str(), path.c_str()) == 0, "no link");
  tsdb::VerifyReport report;
  tsdb::VerifyHeadChunks(directory.path(), &report);
}

std::vector<std::string> HeadChunkFiles() {
  std::vector<std::string> files;
  for (std::string& file : SharedFiles("tsdb/golden/chunks_head/*", 1 << 20)) {
    // The front: what follows is more of the same.
    file.resize(std::min<std::size_t>(file.size(), 8000));
    files.push_back(std::move(file));
  }
  files.push_back(std::string("\x01\x30\xbc\x91\x01\0\0\0", 8));
  return files;
}

}  // namespace

const std::vector<Target>& Targets() {
  static const std::vector<Target> targets = {
      {"wal_record", RunWalRecord, WalRecords},
      {"wal_segment", RunWalSegment, WalSegments},
      {"chunk", RunChunk, Chunks},
      {"index", RunIndex, Indexes},
      {"tombstones", RunTombstones, TombstoneFiles},
      {"snapshot_record", RunSnapshotRecord, SnapshotRecords},
      {"meta", RunMeta, Metas},
      {"head_chunks", RunHeadChunks, HeadChunkFiles},
  };
  return targets;
}

}  // namespace narthex::fuzz
