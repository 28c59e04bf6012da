#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "libs/tsdb/db_fixture.h"
#include "libs/tsdb/wal_directory.h"

namespace narthex::tsdb {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMinute = 60 * 1000;
constexpr std::int64_t kHour = 60 * kMinute;
// The start of a block.
constexpr std::int64_t kStart = 1700006400000;

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
