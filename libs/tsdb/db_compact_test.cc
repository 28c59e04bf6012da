#include <catch2/catch.hpp>

#include "libs/tsdb/db_fixture.h"
#include "libs/tsdb/wal_directory.h"

namespace narthex::tsdb {
namespace {

using storage::RejectReason;

constexpr std::int64_t kMinute = 60 * 1000;
constexpr std::int64_t kHour = 60 * kMinute;
// The start of a block.
constexpr std::int64_t kStart = 1700006400000;

const model::Labels kUp = {{"__name__", "up"}, {"job", "node"}};

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

}  // namespace
}  // namespace narthex::tsdb
