#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/db_fixture.h"
#include "libs/tsdb/wal_directory.h"

namespace narthex::tsdb {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMinute = 60'000;
constexpr std::int64_t kBlock = 120 * kMinute;
// An aligned start, so that blocks' edges are easy to tell.
constexpr std::int64_t kStart = 1'700'000'000'000 / kBlock * kBlock;

constexpr int kTaken = 0;
constexpr int kOutOfOrder = 1;
constexpr int kDuplicate = 2;
constexpr int kOutOfBounds = 3;
constexpr int kTooOld = 6;

const model::Labels kSeries{{"__name__", "m"}, {"i", "1"}};
const model::Labels kOther{{"__name__", "m"}, {"i", "2"}};

DbOptions WithWindow(std::int64_t window_ms) {
  DbOptions options;
  options.out_of_order_window_ms = window_ms;
  options.retention.time_ms = 0;
  return options;
}

std::size_t OutOfOrderBlocks(const Db& db) {
  std::size_t count = 0;
  for (const BlockMeta& meta : db.Blocks()) {
    count += meta.compaction.HasHint(kHintFromOutOfOrder) ? 1 : 0;
  }
  return count;
}

bool Exposes(const DbFixture& fixture, const std::string& line) {
  return fixture.registry().Expose().find(line) != std::string::npos;
}

}  // namespace

TEST_CASE("without a window late samples are out of order or out of bounds") {
  DbFixture fixture;
  REQUIRE(fixture.AppendOne(kSeries, kStart, 1) == kTaken);
  CHECK(fixture.AppendOne(kSeries, kStart - 1, 2) == kOutOfOrder);
  CHECK(fixture.AppendOne(kSeries, kStart - kBlock, 2) == kOutOfBounds);
  CHECK(fixture.AppendOne(kOther, kStart - kBlock, 2) == kOutOfBounds);
  fixture.CheckAll();
  CHECK_FALSE(fs::exists(fixture.path() + "/wbl"));
}

TEST_CASE("a late sample changes none that came in order") {
  DbFixture fixture(WithWindow(kBlock));
  for (const int i : {0, 2, 4}) {
    REQUIRE(fixture.AppendOne(kSeries, kStart + i, i) == kTaken);
  }
  REQUIRE(fixture.AppendOne(kSeries, kStart + 1, 1) == kTaken);
  REQUIRE(fixture.AppendOne(kSeries, kStart + 2, 9) == kTaken);
  REQUIRE(fixture.AppendOne(kSeries, kStart + 0, 9) == kTaken);
  fixture.expected()[kSeries][kStart + 0] = 0;
  fixture.expected()[kSeries][kStart + 2] = 2;
  fixture.CheckAll();
  fixture.Reopen();
  fixture.CheckAll();
}

TEST_CASE("a late sample changes none that is in a block") {
  DbOptions options = WithWindow(8 * kBlock);
  options.overlapping_compaction = GENERATE(false, true);
  DbFixture fixture(options);
  SeriesModel& expected = fixture.expected();
  constexpr int kSamples = 300;
  for (int i = 0; i < kSamples; ++i) {
    for (const auto& series : {kSeries, kOther}) {
      REQUIRE(fixture.AppendOne(series, kStart + i * kMinute, i) == kTaken);
    }
  }
  REQUIRE(fixture.db().CompactIfDue().ok());
  REQUIRE_FALSE(fixture.db().Blocks().empty());
  // At all times of one series, and between some of the other.
  for (int i = 0; i + 1 < kSamples; ++i) {
    REQUIRE(fixture.AppendOne(kSeries, kStart + i * kMinute, -1) == kTaken);
    expected[kSeries][kStart + i * kMinute] = i;
    if (i % 7 != 3) continue;
    REQUIRE(fixture.AppendOne(kOther, kStart + i * kMinute + 5, -1) == kTaken);
    REQUIRE(fixture.AppendOne(kOther, kStart + i * kMinute, -1) == kTaken);
    expected[kOther][kStart + i * kMinute] = i;
  }
  fixture.CheckAll();
  fixture.Reopen();
  fixture.CheckAll();
  REQUIRE(fixture.db().CompactOutOfOrder().ok());
  const std::size_t late_blocks = OutOfOrderBlocks(fixture.db());
  REQUIRE(late_blocks > 1);
  fixture.CheckAll();
  REQUIRE(fixture.db().CompactIfDue().ok());
  CHECK((OutOfOrderBlocks(fixture.db()) < late_blocks) ==
        options.overlapping_compaction);
  fixture.CheckAll();
  fixture.Reopen();
  fixture.CheckAll();
}

TEST_CASE("a window takes what is late by up to its length") {
  DbFixture fixture(WithWindow(3 * kBlock));
  REQUIRE(fixture.AppendOne(kSeries, kStart, 1) == kTaken);
  CHECK(fixture.AppendOne(kSeries, kStart, 9) == kDuplicate);
  CHECK(fixture.AppendOne(kSeries, kStart - 1, 2) == kTaken);
  CHECK(fixture.AppendOne(kSeries, kStart - 3 * kBlock, 3) == kTaken);
  CHECK(fixture.AppendOne(kSeries, kStart - 3 * kBlock - 1, 4) == kTooOld);
  // A series may begin late.
  CHECK(fixture.AppendOne(kOther, kStart - 2 * kBlock, 5) == kTaken);
  CHECK(fixture.AppendOne(kOther, kStart - 4 * kBlock, 5) == kTooOld);
  fixture.CheckAll();
  CHECK(Exposes(fixture,
                "prometheus_tsdb_head_out_of_order_samples_appended_total"
                "{type=\"float\"} 3"));
  CHECK(Exposes(fixture,
                "prometheus_tsdb_too_old_samples_total{type=\"float\"} 2"));
  CHECK(Exposes(fixture, "prometheus_tsdb_sample_ooo_delta_count 5"));
  CHECK(Exposes(fixture, "prometheus_tsdb_out_of_order_wbl_segment_current"));
  CHECK(Exposes(fixture,
                "prometheus_tsdb_head_samples_appended_total"
                "{type=\"float\"} 4"));
}

TEST_CASE("the window is changed while the database is open") {
  DbFixture fixture;
  REQUIRE(fixture.AppendOne(kSeries, kStart, 1) == kTaken);
  CHECK(fixture.AppendOne(kSeries, kStart - 10, 2) == kOutOfOrder);
  REQUIRE(fixture.db().SetOutOfOrderWindow(kMinute).ok());
  CHECK(fixture.AppendOne(kSeries, kStart - 10, 2) == kTaken);
  REQUIRE(fixture.db().SetOutOfOrderWindow(0).ok());
  CHECK(fixture.AppendOne(kSeries, kStart - 20, 2) == kOutOfOrder);
  fixture.CheckAll();
  fixture.Reopen();
  fixture.CheckAll();
}

TEST_CASE("of a batch that is out of order in itself all is taken and kept") {
  DbFixture fixture(WithWindow(kBlock));
  const auto ref = fixture.db().GetOrCreateSeries(kSeries);
  REQUIRE(ref.ok());
  std::vector<RefSample> samples;
  for (const int i : {5, 3, 9, 1, 7}) {
    samples.push_back({*ref, kStart + i, static_cast<double>(i)});
    fixture.expected()[kSeries][kStart + i] = i;
  }
  std::vector<storage::Rejection> rejected;
  REQUIRE(fixture.db().Append(samples, &rejected).ok());
  CHECK(rejected.empty());
  fixture.CheckAll();
  fixture.Reopen();
  fixture.CheckAll();
}

TEST_CASE("what must be in order is refused although the window is open") {
  DbFixture fixture(WithWindow(kBlock));
  REQUIRE(fixture.AppendOne(kSeries, kStart, 1) == kTaken);
  const auto ref = fixture.db().GetOrCreateSeries(kSeries);
  REQUIRE(ref.ok());
  std::vector<storage::Rejection> rejected;
  const std::vector<RefSample> samples = {{*ref, kStart - 1, 2},
                                          {*ref, kStart + 1, 3}};
  REQUIRE(
      fixture.db().Append(samples, &rejected, {.in_order_only = true}).ok());
  REQUIRE(rejected.size() == 1);
  CHECK(rejected[0].index == 0);
  CHECK(rejected[0].reason == storage::RejectReason::kOutOfOrder);
  fixture.expected()[kSeries][kStart + 1] = 3;
  fixture.CheckAll();
}

TEST_CASE("of what is all or none a refused sample keeps everything out") {
  DbFixture fixture;
  REQUIRE(fixture.AppendOne(kSeries, kStart, 1) == kTaken);
  const auto ref = fixture.db().GetOrCreateSeries(kSeries);
  const auto other = fixture.db().GetOrCreateSeries(kOther);
  REQUIRE(ref.ok());
  REQUIRE(other.ok());
  std::vector<storage::Rejection> rejected;
  const std::vector<RefSample> refused = {
      {*other, kStart, 1}, {*ref, kStart - 1, 2}, {*ref, kStart, 3}};
  REQUIRE(fixture.db().Append(refused, &rejected, {.all_or_none = true}).ok());
  REQUIRE(rejected.size() == 2);
  CHECK(rejected[0].index == 1);
  CHECK(rejected[0].reason == storage::RejectReason::kOutOfOrder);
  CHECK(rejected[1].reason == storage::RejectReason::kDuplicate);
  fixture.CheckAll();
  // What is out of order within the batch alone is left out silently.
  rejected.clear();
  const std::vector<RefSample> taken = {
      {*other, kStart + 9, 1}, {*other, kStart + 8, 2}, {*ref, kStart + 9, 3}};
  REQUIRE(fixture.db().Append(taken, &rejected, {.all_or_none = true}).ok());
  CHECK(rejected.empty());
  fixture.expected()[kOther][kStart + 9] = 1;
  fixture.expected()[kSeries][kStart + 9] = 3;
  fixture.CheckAll();
}

TEST_CASE("samples out of order outlive restarts, compactions and both") {
  DbFixture fixture(WithWindow(4 * kBlock));
  std::mt19937 random(11);
  const std::vector<model::Labels> series = MakeSeries(8);
  const auto value = [](std::size_t i, std::int64_t time) {
    return static_cast<double>(i) + static_cast<double>(time % 1000) / 7;
  };
  const auto append = [&](std::int64_t time) {
    const std::size_t i = random() % series.size();
    REQUIRE(fixture.AppendOne(series[i], time, value(i, time)) == kTaken);
  };
  std::int64_t now = kStart;
  for (int step = 0; step < 600; ++step) {
    now += 3 * kMinute;
    append(now);
    for (int i = 0; i < 3; ++i) {
      append(now - 1 - static_cast<std::int64_t>(random() % (3 * kBlock)));
    }
    if (step % 100 == 40) fixture.Reopen();
    if (step % 50 == 25) REQUIRE(fixture.db().CompactIfDue().ok());
    if (step % 100 == 0) fixture.CheckAll();
  }
  fixture.CheckAll();
  REQUIRE(fixture.db().Flush().ok());
  fixture.CheckAll();
  REQUIRE(fixture.db().CompactIfDue().ok());
  fixture.CheckAll();
  // Nothing overlaps any more but what reaches beyond the flushed head.
  std::vector<BlockMeta> blocks = fixture.db().Blocks();
  std::erase_if(blocks, [](const BlockMeta& meta) {
    return meta.compaction.HasHint(kHintFromOutOfOrder);
  });
  for (std::size_t i = 1; i < blocks.size(); ++i) {
    CHECK(blocks[i].min_ms >= blocks[i - 1].max_ms);
  }
  fixture.Reopen();
  fixture.CheckAll();
}

TEST_CASE("what came out of order is written into blocks aligned to the span") {
  DbFixture fixture(WithWindow(4 * kBlock));
  REQUIRE(fixture.AppendOne(kSeries, kStart + kMinute, 1) == kTaken);
  for (int i = 0; i < 100; ++i) {
    REQUIRE(fixture.AppendOne(kSeries, kStart - i * 2 * kMinute, i) == kTaken);
  }
  REQUIRE(fixture.AppendOne(kOther, kStart - 3 * kBlock, 1) == kTaken);
  REQUIRE(fixture.db().CompactOutOfOrder().ok());
  const std::vector<BlockMeta> blocks = fixture.db().Blocks();
  REQUIRE(blocks.size() == 4);
  CHECK(OutOfOrderBlocks(fixture.db()) == 4);
  CHECK(blocks[0].min_ms == kStart - 3 * kBlock);
  CHECK(blocks[3].min_ms == kStart);
  for (const BlockMeta& meta : blocks) {
    CHECK(meta.max_ms == meta.min_ms + kBlock);
    CHECK(meta.compaction.level == 1);
  }
  fixture.CheckAll();
  // The log is as good as empty.
  CHECK(WalDirectoryBytes(fixture.path() + "/wbl") == 0);
  // They do not bound what is appended in order.
  CHECK(fixture.AppendOne(kOther, kStart + kMinute, 2) == kTaken);
  fixture.Reopen();
  fixture.CheckAll();
  CHECK(fixture.AppendOne(kSeries, kStart + kMinute + 1, 2) == kTaken);
  CHECK(fixture.db().MinTime() == kStart - 3 * kBlock);
}

TEST_CASE("chunks of samples out of order are read from files") {
  DbFixture fixture(WithWindow(4 * kBlock));
  REQUIRE(fixture.AppendOne(kSeries, kStart, 1) == kTaken);
  int late = 0;
  const auto append = [&](int count) {
    for (int i = 0; i < count; ++i) {
      ++late;
      REQUIRE(fixture.AppendOne(kSeries, kStart - late * 1000, late) == kTaken);
    }
  };
  for (int round = 0; round < 4; ++round) {
    append(50);
    REQUIRE(fixture.db().Maintain().ok());
    fixture.CheckAll();
  }
  CHECK(Exposes(fixture, "prometheus_tsdb_mmap_chunks_total 6"));
  // Selections outlive the files.
  auto set = fixture.db().SelectChunks(kAllTime, {});
  REQUIRE(set.ok());
  REQUIRE(fixture.db().CompactOutOfOrder().ok());
  for (int i = 1; i <= 3; ++i) {
    REQUIRE(fixture.AppendOne(kOther, kStart + i * kBlock, i) == kTaken);
  }
  CHECK(ReadAll(*std::move(set), kAllTime).size() == 1);
  append(50);
  REQUIRE(fixture.db().Maintain().ok());
  fixture.CheckAll();
  fixture.Reopen();
  fixture.CheckAll();
}

TEST_CASE("a crash before the log is truncated repeats samples, to no effect") {
  DbFixture fixture(WithWindow(4 * kBlock));
  REQUIRE(fixture.AppendOne(kSeries, kStart, 1) == kTaken);
  for (int i = 1; i < 80; ++i) {
    REQUIRE(fixture.AppendOne(kSeries, kStart - i * kMinute, i) == kTaken);
  }
  const std::string wbl = fixture.path() + "/wbl";
  const base::TemporaryDirectory copy;
  fs::copy(wbl, copy.path(), fs::copy_options::recursive);
  REQUIRE(fixture.db().CompactOutOfOrder().ok());
  fixture.Close();
  fs::remove_all(wbl);
  fs::copy(copy.path(), wbl, fs::copy_options::recursive);
  fixture.Open();
  fixture.CheckAll();
  REQUIRE(fixture.db().CompactOutOfOrder().ok());
  fixture.CheckAll();
  // Once the head is past them they are merged.
  const auto blocks_before_start = [&] {
    const std::vector<BlockMeta> blocks = fixture.db().Blocks();
    return std::count_if(
        blocks.begin(), blocks.end(),
        [](const BlockMeta& meta) { return meta.max_ms == kStart; });
  };
  CHECK(blocks_before_start() == 2);
  REQUIRE(fixture.AppendOne(kSeries, kStart + kBlock, 1) == kTaken);
  REQUIRE(fixture.AppendOne(kSeries, kStart + 2 * kBlock, 1) == kTaken);
  REQUIRE(fixture.db().CompactIfDue().ok());
  fixture.CheckAll();
  CHECK(blocks_before_start() == 1);
}

TEST_CASE("compacted, they do not hide what the log has in order") {
  DbFixture fixture(WithWindow(4 * kBlock));
  constexpr std::int64_t kFrom = kStart / (3 * kBlock) * (3 * kBlock);
  for (std::int64_t now = kFrom; now < kFrom + 207 * kBlock / 60;
       now += 5 * kMinute) {
    REQUIRE(fixture.AppendOne(kSeries, now, 1) == kTaken);
    REQUIRE(fixture.db().CompactIfDue().ok());
  }
  // Of the last two blocks' spans all that is in order is in the head.
  for (const int minutes : {250, 300, 370, 400}) {
    REQUIRE(fixture.AppendOne(kSeries, kFrom + minutes * kMinute - 1, 2) ==
            kTaken);
  }
  REQUIRE(fixture.db().CompactOutOfOrder().ok());
  REQUIRE(fixture.db().CompactIfDue().ok());
  fixture.CheckAll();
  CHECK(OutOfOrderBlocks(fixture.db()) == 2);
  fixture.Reopen();
  fixture.CheckAll();
}

TEST_CASE("a series with nothing but samples out of order is kept") {
  DbFixture fixture(WithWindow(8 * kBlock));
  REQUIRE(fixture.AppendOne(kSeries, kStart, 1) == kTaken);
  REQUIRE(fixture.AppendOne(kOther, kStart - 2 * kBlock, 5) == kTaken);
  CHECK(
      fixture.Select({kStart - 3 * kBlock, kStart - 1}, {Match("i", "=", "2")})
          .size() == 1);
  // Two truncations, so that the series is not spared for being fresh.
  for (int i = 1; i <= 4; ++i) {
    REQUIRE(fixture.AppendOne(kSeries, kStart + i * kBlock, i) == kTaken);
    REQUIRE(fixture.db().CompactIfDue().ok());
    fixture.CheckAll();
  }
  CHECK(fixture.db().Blocks().front().min_ms == kStart - 2 * kBlock);
  fixture.Reopen();
  fixture.CheckAll();
}

TEST_CASE("deleted samples out of order stay away from blocks") {
  DbFixture fixture(WithWindow(8 * kBlock));
  REQUIRE(fixture.AppendOne(kSeries, kStart, 1) == kTaken);
  for (int i = 1; i <= 60; ++i) {
    REQUIRE(fixture.AppendOne(kSeries, kStart - i * kMinute, i) == kTaken);
  }
  const storage::TimeRange deleted{kStart - 40 * kMinute,
                                   kStart - 20 * kMinute};
  REQUIRE(fixture.db().DeleteSeries(deleted, {Match("i", "=", "1")}).ok());
  auto& samples = fixture.expected()[kSeries];
  samples.erase(samples.lower_bound(deleted.min_ms),
                samples.upper_bound(deleted.max_ms));
  fixture.CheckAll();
  REQUIRE(fixture.db().CompactOutOfOrder().ok());
  fixture.CheckAll();
  fixture.Reopen();
  fixture.CheckAll();
}

TEST_CASE("a snapshot holds what is out of order") {
  DbFixture fixture(WithWindow(8 * kBlock));
  REQUIRE(fixture.AppendOne(kSeries, kStart, 1) == kTaken);
  REQUIRE(fixture.AppendOne(kSeries, kStart - 2 * kBlock, 2) == kTaken);
  const std::string path = fixture.path() + "/snapshots/one";
  REQUIRE(fixture.db().Snapshot(path, false).ok());
  metrics::Registry registry;
  base::FakeClock clock{kStart};
  const auto copy =
      Db::Open(path, {}, base::Logger::Discard(), clock, registry);
  REQUIRE(copy.ok());
  auto set = (*copy)->SelectChunks(kAllTime, {});
  REQUIRE(set.ok());
  CHECK(ReadAll(*std::move(set), kAllTime) == fixture.expected());
  fixture.CheckAll();
}

TEST_CASE("the damaged end of the log of samples out of order is cut off") {
  DbFixture fixture(WithWindow(8 * kBlock));
  REQUIRE(fixture.AppendOne(kSeries, kStart, 1) == kTaken);
  REQUIRE(fixture.AppendOne(kSeries, kStart - 10, 2) == kTaken);
  REQUIRE(fixture.AppendOne(kSeries, kStart - 20, 3) == kTaken);
  fixture.Close();
  const std::string segment = WalSegmentPath(fixture.path() + "/wbl", 0);
  fs::resize_file(segment, fs::file_size(segment) - 3);
  fixture.Open();
  fixture.expected()[kSeries].erase(kStart - 20);
  fixture.CheckAll();
  CHECK(Exposes(fixture, "prometheus_tsdb_wal_corruptions_total 1"));
}

namespace {

// Damages the first record of a log; when it has none, something else is there.
void Damage(const std::string& log) {
  std::string path;
  const std::vector<int> segments = ListWalSegments(log).value();
  for (const int segment : segments) {
    path = WalSegmentPath(log, segment);
    std::string content = *base::ReadFile(path);
    if (content.size() <= 9) continue;
    content[9] ^= 1;
    REQUIRE(base::WriteFileAtomically(path, content).ok());
    return;
  }
  REQUIRE(base::WriteFileAtomically(path, std::string(64, '?')).ok());
}

}  // namespace

TEST_CASE("what the log of late samples loses comes back from full chunks") {
  DbOptions options = WithWindow(8 * kBlock);
  options.out_of_order_cap_max = 8;
  options.wal.compression = WalCompression::kNone;
  options.memory_snapshot = GENERATE(false, true);
  const bool compacted = GENERATE(false, true);
  DbFixture fixture(options);
  const auto append_late = [&fixture](int from, int to) {
    for (int i = from; i < to; ++i) {
      REQUIRE(fixture.AppendOne(kSeries, kStart - i * 1000, i) == kTaken);
      REQUIRE(fixture.AppendOne(kOther, kStart - i * 1000, -i) == kTaken);
      REQUIRE(fixture.db().MoveFullChunks().ok());
    }
  };
  REQUIRE(fixture.AppendOne(kSeries, kStart, 1) == kTaken);
  REQUIRE(fixture.AppendOne(kOther, kStart, 1) == kTaken);
  if (compacted) {
    append_late(1, 20);
    REQUIRE(fixture.db().CompactOutOfOrder().ok());
  }
  append_late(20, 50);
  fixture.Close();

  const std::string wbl = fixture.path() + "/wbl";
  const std::string last = WalSegmentPath(wbl, ListWalSegments(wbl)->back());
  const std::string log = *base::ReadFile(last);
  const std::string what =
      GENERATE("flipped", "cut", "emptied", "zeroed", "removed", "all removed");
  INFO(what << " compacted " << compacted << " snapshot "
            << options.memory_snapshot);
  if (what == "flipped") {
    std::string flipped = log;
    flipped[flipped.size() / 3] ^= 1;
    REQUIRE(base::WriteFileAtomically(last, flipped).ok());
  } else if (what == "cut") {
    fs::resize_file(last, log.size() / 2);
  } else if (what == "emptied") {
    fs::resize_file(last, 0);
  } else if (what == "zeroed") {
    REQUIRE(base::WriteFileAtomically(last, std::string(log.size(), 0)).ok());
  } else if (what == "removed") {
    fs::remove(last);
  } else {
    fs::remove_all(wbl);
  }
  fixture.Open();
  const SeriesModel found = fixture.Select(kAllTime);
  for (const auto& [labels, samples] : fixture.expected()) {
    // All but those that were in memory alone.
    REQUIRE(found.contains(labels));
    CHECK(found.at(labels).size() + 8 >= samples.size());
    for (const auto& [time, value] : found.at(labels)) {
      CHECK(samples.at(time) == value);
    }
  }
  // The log has it all from here on.
  fixture.Reopen();
  CHECK(fixture.Select(kAllTime) == found);
}

TEST_CASE("chunks of late samples that are in blocks do not come back") {
  DbOptions options = WithWindow(8 * kBlock);
  options.out_of_order_cap_max = 4;
  DbFixture fixture(options);
  REQUIRE(fixture.AppendOne(kSeries, kStart, 1) == kTaken);
  for (int i = 1; i < 20; ++i) {
    REQUIRE(fixture.AppendOne(kSeries, kStart - i, i) == kTaken);
    REQUIRE(fixture.db().MoveFullChunks().ok());
  }
  REQUIRE(fixture.db().CompactOutOfOrder().ok());
  const storage::TimeRange deleted{kStart - 10, kStart - 5};
  REQUIRE(fixture.db().DeleteSeries(deleted, {}).ok());
  for (std::int64_t time = deleted.min_ms; time <= deleted.max_ms; ++time) {
    fixture.expected()[kSeries].erase(time);
  }
  const std::string damaged = GENERATE("nothing", "the log", "the note too");
  INFO(damaged);
  fixture.Close();
  if (damaged != "nothing") Damage(fixture.path() + "/wbl");
  if (damaged == "the note too") {
    REQUIRE(
        base::WriteFileAtomically(fixture.path() + "/chunks_head/settled", "?")
            .ok());
  }
  fixture.Open();
  fixture.CheckAll();
  CHECK(Exposes(fixture, "prometheus_tsdb_head_chunks 1"));
}

TEST_CASE("late samples come back also when all files of chunks were gone") {
  DbOptions options = WithWindow(8 * kBlock);
  options.out_of_order_cap_max = 4;
  DbFixture fixture(options);
  const auto append_late = [&fixture](int from, int to) {
    for (int i = from; i < to; ++i) {
      REQUIRE(fixture.AppendOne(kSeries, kStart - i, i) == kTaken);
      REQUIRE(fixture.db().MoveFullChunks().ok());
    }
  };
  REQUIRE(fixture.AppendOne(kSeries, kStart, 1) == kTaken);
  append_late(1, 40);
  REQUIRE(fixture.db().CompactOutOfOrder().ok());
  // Without full chunks the second start finds no file.
  fixture.Reopen();
  fixture.Reopen();
  append_late(40, 60);
  fixture.Close();
  Damage(fixture.path() + "/wbl");
  fixture.Open();
  const SeriesModel found = fixture.Select(kAllTime);
  CHECK(found.at(kSeries).size() + 4 >= fixture.expected().at(kSeries).size());
}

TEST_CASE("late samples leave the order of series as it is") {
  DbFixture fixture(WithWindow(8 * kBlock));
  const std::vector<model::Labels> created = {
      {{"__name__", "z"}}, {{"__name__", "a"}}, {{"__name__", "m"}}};
  for (const model::Labels& labels : created) {
    REQUIRE(fixture.AppendOne(labels, kStart, 1) == kTaken);
  }
  REQUIRE(fixture.AppendOne(created[1], kStart - 1, 2) == kTaken);
  storage::SelectHints hints;
  hints.range = kAllTime;
  hints.any_order = true;
  auto set = fixture.db().SelectSamples(hints, {});
  REQUIRE(set.ok());
  std::vector<model::Labels> found;
  while ((*set)->Next()) found.push_back((*set)->At()->labels());
  CHECK(found == created);
}

// Run by the thread-sanitizer as well.
TEST_CASE("selections see all or nothing of appends out of order") {
  DbFixture fixture(WithWindow(20 * kBlock));
  constexpr int kCount = 20;
  const std::vector<model::Labels> series = MakeSeries(kCount);
  std::vector<storage::SeriesRef> refs;
  for (const model::Labels& labels : series) {
    refs.push_back(*fixture.db().GetOrCreateSeries(labels));
  }
  // Every append gives all series one sample of the same time.
  const auto append = [&](std::int64_t time) {
    std::vector<RefSample> samples;
    for (const storage::SeriesRef ref : refs) samples.push_back({ref, time, 1});
    std::vector<storage::Rejection> rejected;
    return fixture.db().Append(samples, &rejected).ok() && rejected.empty();
  };
  REQUIRE(append(kStart));
  std::atomic<bool> stop{false};
  std::atomic<int> failures{0};
  std::atomic<std::int64_t> now{kStart};
  std::thread in_order([&] {
    for (int i = 0; i < 300; ++i) {
      if (!append(now + 5 * kMinute)) ++failures;
      now += 5 * kMinute;
    }
    stop = true;
  });
  std::thread late([&] {
    std::mt19937 random(3);
    for (int i = 0; !stop; ++i) {
      // Odd times, each once: what is in order is even.
      const auto back = static_cast<std::int64_t>(random() % (6 * kBlock));
      if (!append((now - back) / 2 * 2 + 1 - 2 * kMinute)) ++failures;
    }
  });
  std::thread maintenance([&] {
    while (!stop) {
      if (!fixture.db().CompactIfDue().ok()) ++failures;
      if (!fixture.db().CompactOutOfOrder().ok()) ++failures;
    }
  });
  int selections = 0;
  while (!stop || selections == 0) {
    auto set = fixture.db().SelectChunks(kAllTime, {});
    REQUIRE(set.ok());
    std::map<std::int64_t, int> seen;
    storage::ChunkSeries one;
    while ((*set)->Next(&one)) {
      model::SampleColumns samples;
      REQUIRE(DecodeChunks(one.chunks, kAllTime, &samples).ok());
      for (const std::int64_t time : samples.timestamps_ms) ++seen[time];
    }
    // What is read may have gone into a block meanwhile: select again.
    if (absl::IsAborted((*set)->status())) continue;
    REQUIRE((*set)->status().ok());
    ++selections;
    const bool whole = std::all_of(seen.begin(), seen.end(), [](auto& entry) {
      return entry.second == kCount;
    });
    REQUIRE(whole);
  }
  in_order.join();
  late.join();
  maintenance.join();
  CHECK(failures == 0);
}

}  // namespace narthex::tsdb
