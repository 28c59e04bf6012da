#include "libs/tsdb/db.h"

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <random>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/storage/merge.h"
#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/db_fixture.h"
#include "libs/tsdb/wal_directory.h"

namespace narthex::tsdb {
namespace {

namespace fs = std::filesystem;
using storage::RejectReason;

constexpr std::int64_t kMinute = 60 * 1000;
constexpr std::int64_t kHour = 60 * kMinute;
// The start of a block.
constexpr std::int64_t kStart = 1700006400000;

const model::Labels kUp = {{"__name__", "up"}, {"job", "node"}};

TEST_CASE("samples are selected as they were appended") {
  DbFixture fixture;
  const auto series = MakeSeries(10);
  for (int i = 0; i < 500; ++i) {
    fixture.Append(series, kStart + i * 15000, i * 0.1);
  }
  fixture.CheckAll();
  const storage::TimeRange range{kStart + 100000, kStart + 400000};
  const std::vector<model::Matcher> matchers = {Match("__name__", "=", "odd"),
                                                Match("i", "!=", "3")};
  CHECK(fixture.Select(range, matchers) ==
        Filter(fixture.expected(), range, matchers));
  CHECK(fixture.Select({0, kStart - 1}).empty());
}

TEST_CASE("a series keeps its reference and its labels") {
  DbFixture fixture;
  const auto ref = fixture.db().GetOrCreateSeries(kUp);
  CHECK(fixture.db().GetOrCreateSeries(kUp).value() == *ref);
  CHECK(fixture.db().LabelsOf(*ref) == kUp);
  CHECK(!fixture.db().LabelsOf(*ref + 1).has_value());
  CHECK(!fixture.db().LabelsOf(std::uint64_t{1} << 40).has_value());
  CHECK(absl::IsInvalidArgument(
      fixture.db().GetOrCreateSeries(model::Labels()).status()));
  REQUIRE(fixture.AppendOne(kUp, kStart, 1) == 0);
  fixture.Reopen();
  CHECK(fixture.db().GetOrCreateSeries(kUp).value() == *ref);
}

TEST_CASE("series beyond the limit are refused and known ones are not") {
  DbOptions options;
  options.series.max_series = 2;
  DbFixture fixture(options);
  const auto series = MakeSeries(3);
  CHECK(fixture.db().GetOrCreateSeries(series[0]).ok());
  CHECK(fixture.db().GetOrCreateSeries(series[1]).ok());
  CHECK(absl::IsResourceExhausted(
      fixture.db().GetOrCreateSeries(series[2]).status()));
  CHECK(fixture.db().GetOrCreateSeries(series[1]).ok());
}

TEST_CASE("samples that cannot be stored are rejected with the reason") {
  DbFixture fixture;
  const model::Labels other = {{"__name__", "other"}};
  REQUIRE(fixture.AppendOne(kUp, kStart + 2 * kHour, 1) == 0);
  CHECK(fixture.AppendOne(kUp, kStart + 2 * kHour, 1) == 0);
  CHECK(fixture.AppendOne(kUp, kStart + 2 * kHour, 2) ==
        static_cast<int>(RejectReason::kDuplicate));
  CHECK(fixture.AppendOne(kUp, kStart + 2 * kHour - 1, 1) ==
        static_cast<int>(RejectReason::kOutOfOrder));
  CHECK(fixture.AppendOne(other, kStart + kHour - 1, 1) ==
        static_cast<int>(RejectReason::kOutOfBounds));
  CHECK(fixture.AppendOne(other, kStart + kHour, 1) == 0);
  const RefSample unknown{4711, kStart + 2 * kHour, 1};
  std::vector<storage::Rejection> rejected;
  REQUIRE(fixture.db().Append({&unknown, 1}, &rejected).ok());
  REQUIRE(rejected.size() == 1);
  CHECK(rejected[0].reason == RejectReason::kUnknownSeries);
  fixture.CheckAll();
  const std::string exposed = fixture.registry().Expose();
  CHECK(absl::StrContains(
      exposed,
      "prometheus_tsdb_out_of_order_samples_total{type=\"float\"} 1\n"));
  CHECK(absl::StrContains(
      exposed,
      "prometheus_tsdb_head_samples_appended_total{type=\"float\"} 2\n"));
}

TEST_CASE("one call may hold several samples of a series, in any order") {
  DbFixture fixture;
  const auto ref = *fixture.db().GetOrCreateSeries(kUp);
  const std::vector<RefSample> samples = {
      {ref, kStart, 1},    {ref, kStart + 2, 2}, {ref, kStart + 1, 3},
      {999, kStart, 3},    {ref, kStart + 2, 9}, {ref, kStart + 2, 2},
      {ref, kStart + 3, 4}};
  std::vector<storage::Rejection> rejected;
  REQUIRE(fixture.db().Append(samples, &rejected).ok());
  REQUIRE(rejected.size() == 3);
  CHECK(rejected[0].index == 2);
  CHECK(rejected[1].index == 3);
  CHECK(rejected[2].index == 4);
  CHECK(rejected[2].reason == RejectReason::kDuplicate);
  fixture.expected()[kUp] = {{kStart, 1}, {kStart + 2, 2}, {kStart + 3, 4}};
  fixture.CheckAll();
  fixture.Reopen();
  fixture.CheckAll();
}

TEST_CASE("everything acknowledged survives a restart") {
  for (const auto compression : {WalCompression::kNone, WalCompression::kSnappy,
                                 WalCompression::kZstd}) {
    DbOptions options;
    options.wal.compression = compression;
    options.wal.segment_bytes = 2 * kWalPageBytes;
    DbFixture fixture(options);
    const auto series = MakeSeries(50);
    for (int i = 0; i < 200; ++i) {
      fixture.Append(series, kStart + i * 10000, i * 1.7);
      if (i % 70 == 69) fixture.Reopen();
    }
    fixture.CheckAll();
    fixture.Reopen();
    fixture.CheckAll();
  }
}

TEST_CASE("a killed process loses nothing") {
  DbFixture fixture;
  fixture.Append(MakeSeries(20), kStart, 1);
  // What a kill leaves is what the directory holds at that moment.
  const base::TemporaryDirectory copy;
  fs::copy(fixture.path(), copy.path() + "/d", fs::copy_options::recursive);
  metrics::Registry registry;
  auto db = Db::Open(copy.path() + "/d", {}, base::Logger::Discard(),
                     base::Clock::System(), registry);
  REQUIRE(db.ok());
  CHECK(ReadAll(*(*db)->SelectChunks(kAllTime, {}), kAllTime) ==
        fixture.expected());
}

TEST_CASE("a log cut at any byte gives whole calls up to the cut") {
  DbOptions options;
  options.wal.compression = WalCompression::kNone;
  DbFixture fixture(options);
  const auto series = MakeSeries(3);
  const std::string path = WalSegmentPath(fixture.path() + "/wal", 0);
  std::vector<std::uint64_t> ends = {0};
  for (int i = 0; i < 5; ++i) {
    fixture.Append(series, kStart + i, i);
    ends.push_back(fs::file_size(path));
  }
  const std::string whole = *base::ReadFile(path);
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    INFO(cut);
    const base::TemporaryDirectory copy;
    REQUIRE(base::CreateDirectories(copy.path() + "/wal").ok());
    REQUIRE(base::WriteFileAtomically(WalSegmentPath(copy.path() + "/wal", 0),
                                      whole.substr(0, cut))
                .ok());
    metrics::Registry registry;
    auto db = Db::Open(copy.path(), options, base::Logger::Discard(),
                       base::Clock::System(), registry);
    REQUIRE(db.ok());
    std::size_t calls = 0;
    while (calls + 1 < ends.size() && ends[calls + 1] <= cut) ++calls;
    const SeriesModel found =
        ReadAll(*(*db)->SelectChunks(kAllTime, {}), kAllTime);
    CHECK(found == Filter(fixture.expected(),
                          {0, kStart + static_cast<std::int64_t>(calls) - 1},
                          {}));
    // And it goes on.
    const auto ref = (*db)->GetOrCreateSeries(kUp);
    const RefSample sample{*ref, kStart + 100, 1};
    std::vector<storage::Rejection> rejected;
    CHECK((*db)->Append({&sample, 1}, &rejected).ok());
    CHECK(rejected.empty());
  }
}

TEST_CASE("a second process cannot open the directory") {
  DbFixture fixture;
  metrics::Registry registry;
  CHECK(absl::IsFailedPrecondition(Db::Open(fixture.path(), {},
                                            base::Logger::Discard(),
                                            base::Clock::System(), registry)
                                       .status()));
}

TEST_CASE("the head becomes a block when it spans more than one and a half") {
  DbFixture fixture;
  const auto series = MakeSeries(10);
  std::int64_t time = kStart + 7 * kMinute;
  for (; time <= kStart + 3 * kHour; time += kMinute) {
    fixture.Append(series, time, 1.0 * static_cast<double>(time % 977));
  }
  REQUIRE(fixture.db().CompactIfDue().ok());
  CHECK(fixture.db().Blocks().empty());
  for (; time <= kStart + 4 * kHour; time += kMinute) {
    fixture.Append(series, time, 2.5);
  }
  REQUIRE(fixture.db().CompactIfDue().ok());
  const auto blocks = fixture.db().Blocks();
  REQUIRE(blocks.size() == 1);
  CHECK(blocks[0].min_ms == kStart + 7 * kMinute);
  CHECK(blocks[0].max_ms == kStart + 2 * kHour);
  CHECK(blocks[0].stats.series == 10);
  CHECK(blocks[0].stats.samples == 10 * 113);
  fixture.CheckAll();
  CHECK(fixture.AppendOne(kUp, kStart + 2 * kHour - 1, 1) ==
        static_cast<int>(RejectReason::kOutOfBounds));
  fixture.Reopen();
  fixture.CheckAll();
  CHECK(fixture.db().Blocks().size() == 1);
  CHECK(fixture.AppendOne(kUp, kStart + 3 * kHour, 1) == 0);
  fixture.CheckAll();
}

TEST_CASE("series without samples are forgotten and can come again") {
  DbFixture fixture;
  const model::Labels old = {{"__name__", "old"}};
  REQUIRE(fixture.AppendOne(old, kStart, 1) == 0);
  const auto ref = *fixture.db().GetOrCreateSeries(old);
  for (int i = 0; i < 5; ++i) {
    for (std::int64_t t = 0; t < 2 * kHour; t += kMinute) {
      fixture.Append({kUp}, kStart + i * 2 * kHour + t, 1);
    }
    REQUIRE(fixture.db().CompactIfDue().ok());
  }
  CHECK(!fixture.db().LabelsOf(ref).has_value());
  const RefSample sample{ref, kStart + 10 * kHour, 1};
  std::vector<storage::Rejection> rejected;
  REQUIRE(fixture.db().Append({&sample, 1}, &rejected).ok());
  REQUIRE(rejected.size() == 1);
  CHECK(rejected[0].reason == RejectReason::kUnknownSeries);
  fixture.CheckAll();
  REQUIRE(fixture.AppendOne(old, kStart + 10 * kHour, 5) == 0);
  CHECK(*fixture.db().GetOrCreateSeries(old) != ref);
  fixture.CheckAll();
  fixture.Reopen();
  fixture.CheckAll();
}

TEST_CASE("the log is replaced by checkpoints as the head moves on") {
  DbOptions options;
  options.wal.segment_bytes = kWalPageBytes;
  DbFixture fixture(options);
  const auto series = MakeSeries(40);
  for (int i = 0; i < 60; ++i) {
    for (std::int64_t t = 0; t < kHour; t += 5 * kMinute) {
      fixture.Append(series, kStart + i * kHour + t, static_cast<double>(t));
    }
    REQUIRE(fixture.db().CompactIfDue().ok());
    if (i % 9 == 8) fixture.Reopen();
  }
  fixture.CheckAll();
  fixture.Reopen();
  fixture.CheckAll();
  const std::string wal = fixture.path() + "/wal";
  const auto checkpoints = ListWalCheckpoints(wal);
  REQUIRE(checkpoints.ok());
  REQUIRE(checkpoints->size() == 1);
  CHECK(ListWalSegments(wal)->front() == checkpoints->front().segment + 1);
  // Larger blocks were made of the oldest.
  CHECK(fixture.db().Blocks().front().compaction.level > 1);
}

TEST_CASE("a flush leaves everything in blocks") {
  DbFixture fixture;
  const auto series = MakeSeries(10);
  for (std::int64_t t = 0; t < 5 * kHour; t += kMinute) {
    fixture.Append(series, kStart + kHour + t, 3);
  }
  REQUIRE(fixture.db().Flush().ok());
  CHECK(fixture.db().Blocks().size() == 3);
  fixture.CheckAll();
  CHECK(fixture.AppendOne(series[0], kStart + 6 * kHour - kMinute, 1) ==
        static_cast<int>(RejectReason::kOutOfBounds));
  fixture.Append(series, kStart + 6 * kHour, 4);
  fixture.CheckAll();
  REQUIRE(fixture.db().Flush().ok());
  REQUIRE(fixture.db().Flush().ok());
  fixture.CheckAll();
  fixture.Reopen();
  fixture.CheckAll();
}

TEST_CASE("what is deleted is gone from head and blocks, after restarts too") {
  DbFixture fixture;
  const auto series = MakeSeries(6);
  for (std::int64_t t = 0; t < 4 * kHour; t += kMinute) {
    fixture.Append(series, kStart + t, 3);
  }
  REQUIRE(fixture.db().CompactIfDue().ok());
  REQUIRE(fixture.db().Blocks().size() == 1);
  const storage::TimeRange range{kStart + kHour, kStart + 3 * kHour};
  REQUIRE(
      fixture.db().DeleteSeries(range, {Match("__name__", "=", "even")}).ok());
  for (auto& [labels, samples] : fixture.expected()) {
    if (labels.metric_name() != "even") continue;
    std::erase_if(samples, [&](const auto& sample) {
      return sample.first >= range.min_ms && sample.first <= range.max_ms;
    });
  }
  fixture.CheckAll();
  fixture.Reopen();
  fixture.CheckAll();
  REQUIRE(fixture.db().CleanTombstones().ok());
  CHECK(fixture.db().Blocks()[0].stats.tombstones == 0);
  fixture.CheckAll();
  REQUIRE(fixture.db().Flush().ok());
  fixture.CheckAll();
  fixture.Reopen();
  fixture.CheckAll();
}

TEST_CASE(
    "what is deleted with its whole block stays out of the log's replay") {
  DbFixture fixture;
  const auto series = MakeSeries(6);
  for (std::int64_t t = 0; t < kHour; t += kMinute) {
    fixture.Append(series, kStart + t, 3);
  }
  REQUIRE(fixture.db().Flush().ok());
  REQUIRE(fixture.db().DeleteSeries(kAllTime, {}).ok());
  fixture.expected().clear();
  REQUIRE(fixture.db().CleanTombstones().ok());
  fixture.CheckAll();
  fixture.Reopen();
  fixture.CheckAll();
}

TEST_CASE("a snapshot opens as a database with the same content") {
  DbFixture fixture;
  const auto series = MakeSeries(6);
  for (std::int64_t t = 0; t < 4 * kHour; t += kMinute) {
    fixture.Append(series, kStart + t, 3);
  }
  REQUIRE(fixture.db().CompactIfDue().ok());
  const base::TemporaryDirectory parent;
  const std::string copy = parent.path() + "/snapshot";
  REQUIRE(fixture.db().Snapshot(copy, false).ok());
  CHECK(absl::IsAlreadyExists(fixture.db().Snapshot(copy, false)));
  metrics::Registry registry;
  auto db = Db::Open(copy, {}, base::Logger::Discard(), base::Clock::System(),
                     registry);
  REQUIRE(db.ok());
  CHECK((*db)->Blocks().size() == 2);
  CHECK(ReadAll(*(*db)->SelectChunks(kAllTime, {}), kAllTime) ==
        fixture.expected());
}

TEST_CASE("blocks beyond the retention are removed") {
  DbOptions options;
  options.retention.time_ms = 6 * kHour;
  DbFixture fixture(options);
  for (std::int64_t t = 0; t < 20 * kHour; t += 10 * kMinute) {
    fixture.Append({kUp}, kStart + t, 3);
  }
  REQUIRE(fixture.db().Maintain().ok());
  const auto blocks = fixture.db().Blocks();
  REQUIRE(!blocks.empty());
  CHECK(blocks.front().max_ms > blocks.back().max_ms - 6 * kHour);
  CHECK(blocks.front().min_ms >= kStart + 8 * kHour);
  std::erase_if(fixture.expected()[kUp], [&](const auto& sample) {
    return sample.first < blocks.front().min_ms;
  });
  fixture.CheckAll();
}

TEST_CASE("names, values and cardinality come from head and blocks") {
  DbFixture fixture;
  REQUIRE(fixture.AppendOne({{"__name__", "a"}, {"x", "1"}}, kStart, 1) == 0);
  REQUIRE(fixture.db().Flush().ok());
  const std::int64_t later = kStart + 4 * kHour;
  REQUIRE(fixture.AppendOne({{"__name__", "b"}, {"y", "2"}}, later, 1) == 0);
  REQUIRE(fixture.AppendOne({{"__name__", "b"}, {"y", "3"}}, later, 1) == 0);
  using Names = std::vector<std::string>;
  const Db& db = fixture.db();
  CHECK(*db.LabelNames(kAllTime, {}, 0) == Names{"__name__", "x", "y"});
  CHECK(*db.LabelNames(kAllTime, {}, 2) == Names{"__name__", "x"});
  CHECK(*db.LabelNames({kStart, kStart}, {}, 0) == Names{"__name__", "x"});
  CHECK(*db.LabelNames(kAllTime, {{Match("y", "=", "2")}}, 0) ==
        Names{"__name__", "y"});
  CHECK(*db.LabelValues("y", kAllTime, {}, 0) == Names{"2", "3"});
  CHECK(*db.LabelValues("__name__", kAllTime,
                        {{Match("x", "=", "1")}, {Match("y", "=", "3")}},
                        0) == Names{"a", "b"});
  CHECK(db.LabelValues("none", kAllTime, {}, 0)->empty());
  CHECK(db.MinTime() == kStart);
  const Cardinality cardinality = db.GetCardinality(1);
  CHECK(cardinality.min_ms == kStart + 1);
  CHECK(cardinality.max_ms == later);
  REQUIRE(cardinality.series_by_metric.size() == 1);
  CHECK(cardinality.series_by_metric[0].name == "b");
  CHECK(cardinality.series_by_metric[0].count == 2);
}

TEST_CASE("metrics have the names that dashboards and alerts ask for") {
  DbFixture fixture;
  for (std::int64_t t = 0; t < 4 * kHour; t += kMinute) {
    fixture.Append({kUp}, kStart + t, 3);
  }
  REQUIRE(fixture.db().Maintain().ok());
  const std::string exposed = fixture.registry().Expose();
  for (const char* line : {"head_series 1",
                           "head_series_created_total 1",
                           "head_series_removed_total 0",
                           "head_series_not_found_total 0",
                           "head_stale_series 0",
                           "head_chunks 1",
                           "head_chunks_created_total 2",
                           "head_chunks_removed_total 1",
                           "head_chunks_storage_size_bytes ",
                           "head_min_time_seconds 1.7000136e+09",
                           "head_max_time_seconds ",
                           "head_active_appenders 0",
                           "head_gc_duration_seconds_count 1",
                           "head_truncations_total 1",
                           "head_truncations_failed_total 0",
                           "lowest_timestamp_seconds 1.7000064e+09",
                           "blocks_loaded 1",
                           "storage_blocks_bytes ",
                           "compactions_total 1",
                           "compactions_failed_total 0",
                           "compactions_triggered_total 1",
                           "compaction_duration_seconds_count 1",
                           "vertical_compactions_total 0",
                           "reloads_total ",
                           "reloads_failures_total 0",
                           "retention_limit_seconds 1.296e+06",
                           "retention_limit_bytes 0",
                           "time_retentions_total 0",
                           "size_retentions_total 0",
                           "tombstone_cleanup_seconds_count 0",
                           "wal_corruptions_total 0",
                           "wal_segment_current 1",
                           "wal_storage_size_bytes ",
                           "wal_fsync_duration_seconds_count ",
                           "wal_page_flushes_total ",
                           "wal_truncate_duration_seconds_count ",
                           "wal_writes_failed_total 0",
                           "checkpoint_creations_total 0",
                           "checkpoint_creations_failed_total 0",
                           "data_replay_duration_seconds ",
                           "mmap_chunks_total 2"}) {
    INFO(line);
    CHECK(absl::StrContains(exposed, absl::StrCat("\nprometheus_tsdb_", line)));
  }
}

TEST_CASE("random histories equal a plain model") {
  const int seed = GENERATE(range(0, 6));
  INFO(seed);
  std::mt19937 random(static_cast<unsigned>(seed));
  DbOptions options;
  options.block_ms = kHour;
  options.wal.segment_bytes = kWalPageBytes;
  options.wal.compression = static_cast<WalCompression>(seed % 3);
  options.retention.time_ms = 0;
  DbFixture fixture(options);
  auto series = MakeSeries(30);
  std::int64_t time = kStart;
  for (int step = 0; step < 400; ++step) {
    time += random() % (random() % 50 == 0 ? 3 * kHour : 4 * kMinute);
    std::vector<model::Labels> some;
    for (const model::Labels& labels : series) {
      if (random() % 3 != 0) some.push_back(labels);
    }
    fixture.Append(some, time,
                   random() % 5 == 0 ? 1.0 : static_cast<double>(random()));
    switch (random() % 40) {
      case 0:
        fixture.Reopen();
        break;
      case 1:
        REQUIRE(fixture.db().Flush().ok());
        break;
      case 2:
        series[random() % series.size()] = {{"__name__", "new"},
                                            {"i", absl::StrCat(step)}};
        break;
      default:
        if (random() % 10 == 0) REQUIRE(fixture.db().Maintain().ok());
    }
    if (step % 50 == 0) fixture.CheckAll();
    const storage::TimeRange range{time - 2 * kHour, time - kMinute};
    const std::vector<model::Matcher> matchers = {Match("i", "=~", "1.*")};
    REQUIRE(fixture.Select(range, matchers) ==
            Filter(fixture.expected(), range, matchers));
  }
  fixture.CheckAll();
}

// Copies `name` of one data directory into another, over what is there.
void CopyInto(const std::string& from, const std::string& name,
              const std::string& to) {
  fs::copy(from + "/" + name, to + "/" + name,
           fs::copy_options::recursive | fs::copy_options::overwrite_existing);
}

// Opens what a crash left and compares it with what was stored.
void CheckCrashed(const std::string& path, const DbOptions& options,
                  const SeriesModel& expected) {
  for (int i = 0; i < 2; ++i) {
    metrics::Registry registry;
    auto db = Db::Open(path, options, base::Logger::Discard(),
                       base::Clock::System(), registry);
    INFO(db.status());
    REQUIRE(db.ok());
    REQUIRE(ReadAll(*(*db)->SelectChunks(kAllTime, {}), kAllTime) == expected);
    REQUIRE((*db)->Maintain().ok());
    REQUIRE(ReadAll(*(*db)->SelectChunks(kAllTime, {}), kAllTime) == expected);
  }
}

TEST_CASE(
    "a crash between two steps of maintenance loses and doubles nothing") {
  DbOptions options;
  options.retention.time_ms = 0;
  options.wal.segment_bytes = kWalPageBytes;
  options.wal.compression = WalCompression::kNone;
  DbFixture fixture(options);
  const auto series = MakeSeries(30);
  for (std::int64_t t = 0; t < 12 * kHour; t += 2 * kMinute) {
    fixture.Append(series, kStart + t, static_cast<double>(t));
  }
  const base::TemporaryDirectory scratch;
  const std::string before = scratch.path() + "/before";
  fs::copy(fixture.path(), before, fs::copy_options::recursive);
  REQUIRE(fixture.db().Maintain().ok());
  const std::string after = scratch.path() + "/after";
  fs::copy(fixture.path(), after, fs::copy_options::recursive);
  const auto checkpoints = ListWalCheckpoints(after + "/wal");
  REQUIRE(checkpoints->size() == 1);
  const std::string checkpoint =
      fs::path(checkpoints->front().path).filename().string();
  std::vector<std::string> blocks;
  for (const auto& meta : fixture.db().Blocks()) {
    blocks.push_back(meta.ulid.ToString());
  }
  REQUIRE(fixture.db().Blocks().front().compaction.level == 2);
  const std::string crashed = scratch.path() + "/crashed";

  SECTION("blocks are written, the log is not truncated") {
    fs::copy(before, crashed, fs::copy_options::recursive);
    for (const std::string& block : blocks) CopyInto(after, block, crashed);
    CheckCrashed(crashed, options, fixture.expected());
  }
  SECTION("a block is not finished") {
    fs::copy(before, crashed, fs::copy_options::recursive);
    CopyInto(after, blocks[0], crashed);
    fs::rename(crashed + "/" + blocks[0],
               crashed + "/" + blocks[0] + ".tmp-for-creation");
    CheckCrashed(crashed, options, fixture.expected());
    CHECK(base::Glob(crashed + "/*.tmp-for-*").empty());
  }
  SECTION("the checkpoint is not finished") {
    fs::copy(before, crashed, fs::copy_options::recursive);
    CopyInto(after, "wal/" + checkpoint, crashed);
    fs::rename(crashed + "/wal/" + checkpoint,
               crashed + "/wal/" + checkpoint + ".tmp");
    CheckCrashed(crashed, options, fixture.expected());
    CHECK(base::Glob(crashed + "/wal/*.tmp").empty());
  }
  SECTION("the checkpoint is there, the segments before it too") {
    fs::copy(before, crashed, fs::copy_options::recursive);
    for (const std::string& block : blocks) CopyInto(after, block, crashed);
    CopyInto(after, "wal/" + checkpoint, crashed);
    CheckCrashed(crashed, options, fixture.expected());
  }
  SECTION("a larger block is there, those it was made of too") {
    fixture.Close();
    fs::copy(before, crashed, fs::copy_options::recursive);
    {
      // The same head gives the same small blocks again.
      DbOptions small = options;
      small.max_block_ms = options.block_ms;
      metrics::Registry registry;
      auto db = Db::Open(crashed, small, base::Logger::Discard(),
                         base::Clock::System(), registry);
      REQUIRE((*db)->Maintain().ok());
    }
    const std::string copy = scratch.path() + "/copy";
    fs::copy(crashed, copy, fs::copy_options::recursive);
    CheckCrashed(copy, options, fixture.expected());
    for (const auto& entry : fs::directory_iterator(copy)) {
      const std::string name = entry.path().filename().string();
      if (Ulid::Parse(name).ok() && !base::Exists(crashed + "/" + name)) {
        CopyInto(copy, name, crashed);
      }
    }
    CheckCrashed(crashed, options, fixture.expected());
  }
}

TEST_CASE("a selection sees all of an append or nothing") {
  DbOptions options;
  DbFixture fixture(options);
  const auto series = MakeSeries(300);
  std::vector<RefSample> samples;
  for (const auto& labels : series) {
    samples.push_back({*fixture.db().GetOrCreateSeries(labels), 0, 0});
  }
  std::atomic<bool> done = false;
  std::thread writer([&] {
    std::vector<storage::Rejection> rejected;
    for (int i = 0; i < 300; ++i) {
      for (RefSample& sample : samples) {
        sample.timestamp_ms = kStart + i;
        sample.value = i;
      }
      if (!fixture.db().Append(samples, &rejected).ok()) std::abort();
    }
    if (!rejected.empty()) std::abort();
    done = true;
  });
  int seen = 0;
  while (!done) {
    auto set = fixture.db().SelectChunks({kStart, kStart + 1000}, {});
    REQUIRE(set.ok());
    const SeriesModel found = ReadAll(*std::move(set), {0, kStart + 1000});
    if (found.empty()) continue;
    REQUIRE(found.size() == series.size());
    const std::size_t count = found.begin()->second.size();
    for (const auto& [labels, values] : found) {
      REQUIRE(values.size() == count);
    }
    ++seen;
  }
  writer.join();
  CHECK(seen > 0);
}

TEST_CASE("appends, selections and compaction run side by side") {
  DbOptions options;
  options.block_ms = 10 * kMinute;
  options.wal.segment_bytes = 4 * kWalPageBytes;
  DbFixture fixture(options);
  constexpr int kWriters = 3;
  constexpr int kSteps = 400;
  std::atomic<int> running = kWriters;
  std::array<std::atomic<int>, kWriters> steps{};
  const auto all = MakeSeries(kWriters * 20);
  std::vector<std::thread> threads;
  for (int w = 0; w < kWriters; ++w) {
    threads.emplace_back([&, w] {
      for (int step = 0; step < kSteps; ++step) {
        const std::int64_t time = kStart + step * 10000;
        // Writers keep close together, so that nothing is out of bounds.
        steps[static_cast<std::size_t>(w)] = step;
        for (const auto& other : steps) {
          while (other.load() < step - 6) std::this_thread::yield();
        }
        std::vector<RefSample> samples;
        for (int i = 0; i < 20; ++i) {
          samples.push_back(
              {*fixture.db().GetOrCreateSeries(all[w * 20 + i]), time, 1.0});
        }
        std::vector<storage::Rejection> rejected;
        if (!fixture.db().Append(samples, &rejected).ok()) std::abort();
        if (!rejected.empty()) std::abort();
      }
      --running;
    });
  }
  while (running > 0) {
    REQUIRE(fixture.db().Maintain().ok());
    auto set = fixture.db().SelectChunks(kAllTime, {Match("i", "=~", "1.*")});
    REQUIRE(set.ok());
    storage::ChunkSeries one;
    while ((*set)->Next(&one)) {
    }
    REQUIRE((*set)->status().ok());
    REQUIRE(fixture.db().LabelValues("i", kAllTime, {}, 0).ok());
    (void)fixture.db().GetCardinality(10);
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& labels : all) {
    for (int step = 0; step < kSteps; ++step) {
      fixture.expected()[labels][kStart + step * 10000] = 1.0;
    }
  }
  fixture.CheckAll();
  fixture.Reopen();
  fixture.CheckAll();
}

}  // namespace
}  // namespace narthex::tsdb
