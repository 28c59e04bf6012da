#include "libs/tsdb/chunk_snapshot.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/chunk_snapshot_records.h"
#include "libs/tsdb/db_fixture.h"
#include "libs/tsdb/histogram_fixture.h"
#include "libs/tsdb/xor_chunk.h"

namespace narthex::tsdb {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMinute = 60 * 1000;
constexpr std::int64_t kStart = 1700006400000;

DbOptions Options(bool memory_snapshot = true) {
  DbOptions options;
  options.retention.time_ms = 0;
  options.block_ms = 600 * kMinute;
  options.samples_per_chunk = 30;
  options.wal.segment_bytes = kWalPageBytes;
  options.max_exemplars = 100;
  options.memory_snapshot = memory_snapshot;
  return options;
}

ChunkSnapshot SnapshotIn(const DbFixture& fixture) {
  const auto snapshot = FindChunkSnapshot(fixture.path());
  REQUIRE(snapshot.ok());
  REQUIRE(snapshot->has_value());
  return **snapshot;
}

std::string Unusable(const DbFixture& fixture) {
  const std::string metrics = fixture.registry().Expose();
  const std::string name = "\nprometheus_tsdb_snapshot_replay_error_total ";
  const std::size_t at = metrics.find(name) + name.size();
  return metrics.substr(at, metrics.find('\n', at) - at);
}

// Makes the log useless without changing how long it is.
void SpoilLog(const std::string& directory) {
  for (const auto& entry : fs::directory_iterator(directory + "/wal")) {
    const std::size_t size = entry.file_size();
    std::ofstream(entry.path(), std::ios::binary | std::ios::trunc)
        << std::string(size, '\x77');
  }
}

void AppendHistograms(DbFixture& fixture, const model::Labels& labels,
                      std::int64_t from_ms, int count, bool floats) {
  RandomHistograms random(7, /*gauge=*/false);
  const auto ref = fixture.db().GetOrCreateSeries(labels);
  REQUIRE(ref.ok());
  for (int i = 0; i < count; ++i) {
    const model::IntHistogram next = random.Next();
    RefHistogram one{*ref, from_ms + i * kMinute, 0, {}};
    if (floats) {
      one.value.floating =
          std::make_shared<model::FloatHistogram>(next.ToFloat());
    } else {
      one.value.integer = std::make_shared<model::IntHistogram>(next);
    }
    AppendBatch batch;
    batch.histograms = {&one, 1};
    std::vector<storage::Rejection> rejected;
    REQUIRE(fixture.db().Append(batch, &rejected).ok());
    REQUIRE(rejected.empty());
  }
}

// All that is stored of a series, chunk by chunk.
std::vector<HistogramFacts> FactsIn(DbFixture& fixture,
                                    const std::string& name) {
  auto set =
      fixture.db().SelectChunks(kAllTime, {Match("__name__", "=", name)});
  REQUIRE(set.ok());
  std::vector<HistogramFacts> facts;
  storage::ChunkSeries series;
  while ((*set)->Next(&series)) {
    for (const storage::Chunk& chunk : series.chunks) {
      std::vector<StoredSample> samples;
      REQUIRE(DecodeStored(chunk, kAllTime, &samples).ok());
      for (const StoredSample& sample : samples) {
        facts.push_back(sample.is_float() ? HistogramFacts() : FactsOf(sample));
        facts.back().sum += sample.is_float() ? sample.value : 0;
      }
    }
  }
  return facts;
}

TEST_CASE("a start from a snapshot of memory needs no log") {
  DbFixture fixture(Options());
  const auto series = MakeSeries(100);
  for (int i = 0; i < 70; ++i) {
    fixture.Append(series, kStart + i * kMinute, i);
    if (i == 40) REQUIRE(fixture.db().MoveFullChunks().ok());
  }
  AppendHistograms(fixture, {{"__name__", "integers"}}, kStart, 80, false);
  AppendHistograms(fixture, {{"__name__", "floats"}}, kStart, 80, true);
  const model::Labels mixed({{"__name__", "mixed"}});
  AppendHistograms(fixture, mixed, kStart, 5, false);
  REQUIRE(fixture.AppendOne(mixed, kStart + 6 * kMinute, 1) == 0);
  AppendHistograms(fixture, mixed, kStart + 7 * kMinute, 5, false);
  REQUIRE(fixture.AppendOne(mixed, kStart + 14 * kMinute, 2) == 0);
  REQUIRE(
      fixture.db()
          .DeleteSeries({kStart, kStart + 10 * kMinute}, {Match("i", "=", "3")})
          .ok());
  const RefExemplar exemplar{*fixture.db().GetOrCreateSeries(series[0]), kStart,
                             0.5, model::Labels({{"trace", "x"}})};
  AppendBatch batch;
  batch.exemplars = {&exemplar, 1};
  std::vector<storage::Rejection> rejected;
  REQUIRE(fixture.db().Append(batch, &rejected).ok());

  const auto floats = [&] {
    return fixture.Select(kAllTime, {Match("job", "=", "test")});
  };
  const auto others = [&] {
    std::vector<std::vector<HistogramFacts>> all;
    for (const char* name : {"integers", "floats", "mixed"}) {
      all.push_back(FactsIn(fixture, name));
    }
    return all;
  };
  const SeriesModel floats_before = floats();
  const auto others_before = others();
  REQUIRE(others_before[2].size() == 12);
  for (int round = 0; round < 2; ++round) {
    fixture.Close();
    SpoilLog(fixture.path());
    fixture.Open();
    CHECK(Unusable(fixture) == "0");
    CHECK(floats() == floats_before);
    CHECK(others() == others_before);
    const auto exemplars = fixture.db().SelectExemplars(kAllTime, {{}});
    REQUIRE(exemplars.size() == 1);
    CHECK(exemplars[0].labels == series[0]);
    CHECK(exemplars[0].exemplars[0].value == 0.5);
  }
  // What is known is known: neither is taken again.
  CHECK(fixture.AppendOne(series[5], kStart + 69 * kMinute, 7) ==
        static_cast<int>(storage::RejectReason::kDuplicate));
  CHECK(fixture.AppendOne(series[5], kStart + 68 * kMinute, 7) ==
        static_cast<int>(storage::RejectReason::kOutOfOrder));
}

TEST_CASE("after a crash the log tells what a snapshot of memory did") {
  DbFixture fixture(Options());
  const auto series = MakeSeries(40);
  const auto append = [&](int from, int to) {
    for (int i = from; i < to; ++i) {
      fixture.Append(series, kStart + i * kMinute, i);
    }
  };
  append(0, 50);
  fixture.Reopen();
  append(50, 100);
  fixture.Append({model::Labels({{"__name__", "new"}})}, kStart, 1);
  REQUIRE(fixture.db().MoveFullChunks().ok());
  append(100, 110);
  // As a killed process leaves it, twice.
  const base::TemporaryDirectory copy;
  fs::copy(fixture.path(), copy.path(),
           fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  for (int round = 0; round < 2; ++round) {
    const base::TemporaryDirectory again;
    metrics::Registry registry;
    auto db = Db::Open(copy.path(), Options(), base::Logger::Discard(),
                       base::Clock::System(), registry);
    REQUIRE(db.ok());
    REQUIRE((*db)->MoveFullChunks().ok());
    CHECK(absl::StrContains(registry.Expose(),
                            "\nprometheus_tsdb_snapshot_replay_error_total 0"));
    auto set = (*db)->SelectChunks(kAllTime, {});
    REQUIRE(set.ok());
    CHECK(ReadAll(*std::move(set), kAllTime) == fixture.expected());
    fs::copy(
        copy.path(), again.path(),
        fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    db->reset();
    fs::remove_all(copy.path());
    fs::copy(again.path(), copy.path(), fs::copy_options::recursive);
  }
}

TEST_CASE("a snapshot of memory that is not good is passed over") {
  DbFixture fixture(Options());
  const auto series = MakeSeries(40);
  for (int i = 0; i < 100; ++i) {
    fixture.Append(series, kStart + i * kMinute, i);
    if (i % 20 == 0) REQUIRE(fixture.db().MoveFullChunks().ok());
  }
  fixture.Close();
  const ChunkSnapshot snapshot = SnapshotIn(fixture);
  const std::string segment = snapshot.path + "/00000000";
  const std::string chunks = fixture.path() + "/chunks_head/000001";
  SECTION("a flipped bit") {
    std::string content = *base::ReadFile(segment);
    content[content.size() / 2] ^= 1;
    std::ofstream(segment, std::ios::binary) << content;
  }
  SECTION("a segment cut off") {
    fs::resize_file(segment, fs::file_size(segment) / 2);
  }
  SECTION("a record of another kind") {
    std::ofstream(segment, std::ios::binary | std::ios::app) << [] {
      std::string frame;
      FramePayload({WalCompression::kNone, "\x09what"}, 0, &frame);
      return frame;
    }();
  }
  SECTION("references that are cut off") {
    const std::string path = snapshot.path + "/narthex-references";
    fs::resize_file(path, fs::file_size(path) - 1);
  }
  SECTION("a damaged file of chunks") {
    std::string content = *base::ReadFile(chunks);
    content[100] ^= 1;
    std::ofstream(chunks, std::ios::binary) << content;
  }
  SECTION("a file of chunks that has lost its chunks") {
    fs::resize_file(chunks, 8);
  }
  SECTION("a lost file of chunks") { fs::remove(chunks); }
  SECTION("a log that goes on") {
    metrics::Registry registry;
    TsdbMetrics metrics(registry);
    auto wal = Wal::Open(fixture.path() + "/wal", {}, base::Logger::Discard(),
                         metrics.wal);
    REQUIRE(wal.ok());
    std::string record;
    EncodeTombstones(std::vector<RefTombstone>{{999999, {1, 2}}}, &record);
    REQUIRE((*wal)->Log({&record, 1}).ok());
  }
  SECTION("a position that the log never reached") {
    fs::rename(snapshot.path,
               fixture.path() + "/chunk_snapshot.000099.0000000000");
  }
  fixture.Open();
  CHECK(Unusable(fixture) == "1");
  fixture.CheckAll();
  fixture.Append(series, kStart + 100 * kMinute, 1);
  fixture.Reopen();
  CHECK(Unusable(fixture) == "0");
  fixture.CheckAll();
}

TEST_CASE("no snapshot of memory outlives its use") {
  DbFixture fixture(Options());
  fixture.Append(MakeSeries(3), kStart, 1);
  fixture.Reopen();
  CHECK_FALSE(FindChunkSnapshot(fixture.path())->has_value());
  fixture.Append(MakeSeries(3), kStart + 1, 1);
  // As a process that was killed leaves it.
  const std::string unfinished =
      fixture.path() + "/chunk_snapshot.000007.0000000000.tmp";
  REQUIRE(base::CreateDirectories(unfinished).ok());
  fixture.Reopen();
  CHECK(Unusable(fixture) == "0");
  CHECK_FALSE(base::Exists(unfinished));
  fixture.Append(MakeSeries(3), kStart + 2, 1);
  fixture.Close();
  std::size_t snapshots = 0;
  const auto names = base::ListDirectory(fixture.path());
  for (const std::string& name : *names) {
    snapshots += absl::StartsWith(name, kChunkSnapshotPrefix) ? 1 : 0;
  }
  CHECK(snapshots == 1);
  fixture.set_options(Options(/*memory_snapshot=*/false));
  fixture.Open();
  fixture.CheckAll();
  CHECK_FALSE(FindChunkSnapshot(fixture.path())->has_value());
}

TEST_CASE("references outlive the log's beginning in a snapshot of memory") {
  // Prometheus's do not tell them: they are read from the log.
  const bool told = GENERATE(true, false);
  DbOptions options = Options(/*memory_snapshot=*/false);
  options.out_of_order_window_ms = 600 * kMinute;
  options.wal.segment_bytes = 128 << 20;
  DbFixture fixture(options);
  const std::vector<model::Labels> first = {
      model::Labels({{"__name__", "again"}})};
  const std::vector<model::Labels> gone = {
      model::Labels({{"__name__", "gone"}})};
  fixture.Append(first, kStart, 1);
  fixture.Append(gone, kStart, 1);
  for (int i = 1; i < 4; ++i) {
    REQUIRE(fixture.db().Flush().ok());
    fixture.Append(MakeSeries(1), kStart + i * kMinute, 1);
  }
  // The series comes back with another reference, by which it is logged.
  fixture.Append(first, kStart + 100 * kMinute, 2);
  REQUIRE(fixture.AppendOne(first[0], kStart + 50 * kMinute, 3) == 0);
  options.memory_snapshot = true;
  fixture.set_options(options);
  fixture.Reopen();
  fixture.CheckAll();
  fixture.Reopen();
  if (!told) {
    fixture.Close();
    REQUIRE(
        base::RemoveAll(SnapshotIn(fixture).path + "/narthex-references").ok());
    fixture.Open();
  }
  CHECK(Unusable(fixture) == "0");
  fixture.CheckAll();
  // No reference of before is given to a new series.
  fixture.Append({model::Labels({{"__name__", "new"}})}, kStart + 101 * kMinute,
                 4);
  options.memory_snapshot = false;
  fixture.set_options(options);
  fixture.Reopen();
  fixture.CheckAll();
}

TEST_CASE("records of a snapshot come back, and never half") {
  XorChunk chunk;
  chunk.Append(5, 1.5);
  chunk.Append(9, 2.5);
  SnapshotSeries series;
  series.declared = {7, model::Labels({{"__name__", "a"}, {"b", "c"}})};
  series.newest = {5, 9, storage::Encoding::kXor, chunk.bytes(), nullptr};
  std::string record;
  REQUIRE(EncodeSnapshotSeries(series, 2.5, &record).ok());
  SnapshotSeries decoded;
  REQUIRE(DecodeSnapshotSeries(record, &decoded).ok());
  CHECK(decoded.declared.ref == 7);
  CHECK(decoded.declared.labels == series.declared.labels);
  CHECK(decoded.newest.bytes == chunk.bytes());
  CHECK(CheckSnapshotChunk(decoded.newest).ok());
  decoded.newest.max_ms = 8;
  CHECK_FALSE(CheckSnapshotChunk(decoded.newest).ok());
  constexpr std::size_t kLastSamples = 4 * 16;
  for (std::size_t size = 0; size < record.size() - kLastSamples; ++size) {
    INFO(size);
    CHECK_FALSE(DecodeSnapshotSeries(record.substr(0, size), &decoded).ok());
  }

  const Tombstones tombstones = {{3, {{1, 5}, {9, 12}}}, {8, {{-4, 4}}}};
  record.clear();
  EncodeSnapshotTombstones(tombstones, &record);
  const auto read = DecodeSnapshotTombstones(record);
  REQUIRE(read.ok());
  CHECK(CountIntervals(*read) == 3);
  CHECK(read->at(8)[0].min_ms == -4);
  CHECK_FALSE(
      DecodeSnapshotTombstones(record.substr(0, record.size() - 1)).ok());
}

}  // namespace
}  // namespace narthex::tsdb
