#include "libs/tsdb/db.h"

#include <catch2/catch.hpp>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
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

std::vector<model::Labels> LabelsIn(const Db& db,
                                    const storage::TimeRange& range,
                                    const std::vector<model::Matcher>& of) {
  const auto table = db.SelectLabels(range, of);
  REQUIRE(table.ok());
  std::vector<model::Labels> found;
  for (std::size_t i = 0; i < table->size(); ++i) {
    found.push_back(table->LabelsOf(i));
  }
  return found;
}

TEST_CASE("label sets are those of series with a chunk in the range") {
  DbFixture fixture;
  const auto series = MakeSeries(3);
  std::vector<model::Labels> sorted = series;
  std::sort(sorted.begin(), sorted.end());
  const std::vector<model::Matcher> all = {Match("i", "=~", ".*")};
  const std::int64_t end = kStart + 5 * kHour;
  for (std::int64_t at = kStart; at <= end; at += kMinute) {
    fixture.Append(series, at, 1);
  }
  REQUIRE(fixture.AppendOne(kUp, end, 1) == 0);
  const auto check = [&] {
    const Db& db = fixture.db();
    CHECK(LabelsIn(db, {kStart, end}, all).size() == 4);
    CHECK(LabelsIn(db, {kStart, end}, {Match("i", "!=", "")}) == sorted);
    CHECK(LabelsIn(db, {kStart, end - 1}, all) == sorted);
    // Between two samples of a chunk, as Prometheus.
    CHECK(LabelsIn(db, {end - 30'000, end - 20'000}, all) == sorted);
    CHECK(LabelsIn(db, {kStart + 30'000, kStart + 40'000}, all) == sorted);
    CHECK(LabelsIn(db, {end + 1, end + kHour}, all).empty());
    CHECK(LabelsIn(db, {0, kStart - 1}, all).empty());
  };
  check();
  REQUIRE(fixture.db().CompactIfDue().ok());
  REQUIRE_FALSE(fixture.db().Blocks().empty());
  check();
  REQUIRE(
      fixture.db().DeleteSeries({0, end}, {Match("__name__", "=", "up")}).ok());
  CHECK(LabelsIn(fixture.db(), {kStart, end}, all) == sorted);
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

TEST_CASE("series leave the head with their last sample") {
  DbFixture fixture;
  const auto series = MakeSeries(10'000);
  fixture.Append(series, kStart, 1);
  REQUIRE(fixture.db().GetOrCreateSeries(kUp).ok());
  REQUIRE(fixture.db().Flush().ok());
  // The one that is about to get a sample is spared.
  CHECK(fixture.db().GetCardinality(1).series == 1);
  fixture.CheckAll();
}

TEST_CASE("series whose references do not fit are kept under others") {
  DbFixture fixture;
  fixture.Close();
  const storage::SeriesRef large = storage::SeriesRef{5} << 32;
  const auto series = MakeSeries(3);
  {
    metrics::Registry registry;
    WriteLogMetrics metrics(registry, "log");
    const auto wal = Wal::Open(fixture.path() + "/wal", WalOptions(),
                               base::Logger::Discard(), metrics);
    REQUIRE(wal.ok());
    std::vector<RefSeries> declared;
    for (std::size_t i = 0; i < series.size(); ++i) {
      declared.push_back({large + i, series[i]});
    }
    // It also comes where the head may have put one of them.
    declared.push_back({1, kUp});
    std::vector<std::string> records(3);
    EncodeSeries(declared, &records[0]);
    std::vector<RefSample> samples;
    for (int t = 0; t < 10; ++t) {
      for (const RefSeries& one : declared) {
        samples.push_back({one.ref, kStart + t, 1.0 * t});
        fixture.expected()[one.labels][kStart + t] = t;
      }
    }
    EncodeSamples(samples, &records[1]);
    EncodeTombstones(std::vector<RefTombstone>{{large, {kStart, kStart + 4}}},
                     &records[2]);
    auto& deleted = fixture.expected()[series[0]];
    deleted.erase(deleted.begin(), deleted.lower_bound(kStart + 5));
    REQUIRE((*wal)->Log(records).ok());
    REQUIRE((*wal)->Close().ok());
  }
  for (int i = 0; i < 3; ++i) {
    INFO(i);
    fixture.Open();
    CHECK(absl::StrContains(fixture.registry().Expose(),
                            "wal_replay_unknown_refs_total{type=\"samples\"} "
                            "0\n"));
    fixture.CheckAll();
    fixture.Append({series[0], series[1], kUp}, kStart + 100 + i, i);
    fixture.CheckAll();
    fixture.Close();
  }
  fixture.Open();
  REQUIRE(fixture.db()
              .DeleteSeries({kStart, kStart + 200}, {Match("i", "=", "2")})
              .ok());
  fixture.expected().erase(series[2]);
  fixture.Reopen();
  fixture.CheckAll();
}

TEST_CASE("a log with a segment missing is left alone and not opened") {
  DbOptions options;
  options.wal.segment_bytes = kWalPageBytes;
  options.wal.compression = WalCompression::kNone;
  DbFixture fixture(options);
  const auto series = MakeSeries(100);
  for (int i = 0; i < 100; ++i) fixture.Append(series, kStart + i, i);
  fixture.Close();
  const std::string wal = fixture.path() + "/wal";
  const auto segments = *ListWalSegments(wal);
  REQUIRE(segments.size() > 3);
  fs::rename(WalSegmentPath(wal, 1), wal + "/elsewhere");
  const std::uint64_t bytes = WalDirectoryBytes(wal);
  metrics::Registry registry;
  const auto db = Db::Open(fixture.path(), options, base::Logger::Discard(),
                           base::Clock::System(), registry);
  CHECK(absl::IsFailedPrecondition(db.status()));
  CHECK(absl::StrContains(db.status().message(), "segment 1 is missing"));
  CHECK(WalDirectoryBytes(wal) == bytes);
  // Once it is back, nothing was lost.
  fs::rename(wal + "/elsewhere", WalSegmentPath(wal, 1));
  fixture.Open();
  fixture.CheckAll();
}

TEST_CASE("of a damaged log the full chunks give back what it lost") {
  DbOptions options;
  options.wal.compression = WalCompression::kNone;
  options.samples_per_chunk = 20;
  DbFixture fixture(options);
  const auto series = MakeSeries(4);
  constexpr int kSamples = 70;
  for (int i = 0; i < kSamples; ++i) {
    fixture.Append(series, kStart + i * 1000, i);
    REQUIRE(fixture.db().MoveFullChunks().ok());
  }
  fixture.Close();
  const std::string path = WalSegmentPath(fixture.path() + "/wal", 0);
  std::string log = *base::ReadFile(path);
  const bool declared = GENERATE(true, false);
  INFO(declared);
  // In a record of samples, or in that of the series.
  log[declared ? log.size() / 4 : 20] ^= 1;
  REQUIRE(base::WriteFileAtomically(path, log).ok());
  fixture.Open();
  const SeriesModel found = fixture.Select(kAllTime);
  if (!declared) {
    CHECK(found.empty());
    return;
  }
  REQUIRE(found.size() == series.size());
  for (const auto& [labels, samples] : found) {
    // All but those of the newest chunk, which were in memory alone.
    CHECK(samples.size() >= kSamples - 20);
    CHECK(samples.rbegin()->first ==
          kStart + 1000 * (static_cast<std::int64_t>(samples.size()) - 1));
    for (const auto& [time, value] : samples) {
      CHECK(fixture.expected().at(labels).at(time) == value);
    }
  }
  // The log has it all from here on.
  fixture.Reopen();
  CHECK(fixture.Select(kAllTime) == found);
}

TEST_CASE("a second process cannot open the directory") {
  DbFixture fixture;
  metrics::Registry registry;
  CHECK(absl::IsFailedPrecondition(Db::Open(fixture.path(), {},
                                            base::Logger::Discard(),
                                            base::Clock::System(), registry)
                                       .status()));
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

}  // namespace
}  // namespace narthex::tsdb
