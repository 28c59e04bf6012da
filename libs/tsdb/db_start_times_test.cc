#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/db_fixture.h"
#include "libs/tsdb/db_queryable.h"
#include "libs/tsdb/histogram_fixture.h"

namespace narthex::tsdb {
namespace {

constexpr std::int64_t kMinute = 60 * 1000;
constexpr std::int64_t kStart = 1700006400000;
const model::Labels kRequests({{"__name__", "requests_total"}});
const model::Labels kLatency({{"__name__", "latency"}});

/// By time: "<value> since <start>", a histogram's value being its count.
using Shown = std::map<std::int64_t, std::string>;

std::string Show(double value, std::int64_t start_ms) {
  return std::to_string(value) + " since " + std::to_string(start_ms);
}

DbOptions Options() {
  DbOptions options;
  options.retention.time_ms = 0;
  options.samples_per_chunk = 20;
  options.start_times = true;
  options.histogram_start_times = true;
  return options;
}

/// Two series with start times, floats and histograms.
struct Stored {
  explicit Stored(DbOptions options = Options()) : fixture(options) {}

  void Append(const model::Labels& labels, std::int64_t minute,
              std::int64_t start_ms) {
    const bool histogram = labels == kLatency;
    const auto ref = fixture.db().GetOrCreateSeries(labels);
    REQUIRE(ref.ok());
    const std::int64_t time = kStart + minute * kMinute;
    const auto value = static_cast<double>(minute);
    const RefSample sample{*ref, time, value};
    model::IntHistogram counted = MakeHistogram({{0, minute}});
    const RefHistogram one{
        *ref,
        time,
        start_ms,
        {std::make_shared<model::IntHistogram>(counted), nullptr}};
    AppendBatch batch;
    if (histogram) {
      batch.histograms = {&one, 1};
    } else {
      batch.samples = {&sample, 1};
      batch.starts_ms = {&start_ms, 1};
    }
    std::vector<storage::Rejection> rejected;
    REQUIRE(fixture.db().Append(batch, &rejected).ok());
    REQUIRE(rejected.empty());
    expected[labels.metric_name() == "latency"][time] =
        Show(value, KeepsStarts() ? start_ms : 0);
  }

  /// A sample a minute, of a counter that begins anew at times.
  void AppendAll(std::int64_t from, std::int64_t to) {
    for (std::int64_t i = from; i < to; ++i) {
      std::int64_t start = kStart + i / 50 * 50 * kMinute - 1;
      if (i < 30) start = 0;
      Append(kRequests, i, start);
      Append(kLatency, i, start);
    }
  }

  bool KeepsStarts() const { return keeps_starts; }

  Shown Read(const model::Labels& labels, bool as_samples) {
    const std::vector<model::Matcher> matchers = {
        Match("__name__", "=", std::string(labels.metric_name()))};
    std::unique_ptr<storage::SeriesSet> set;
    if (as_samples) {
      storage::SelectHints hints;
      hints.range = kAllTime;
      auto selected = DbQueryable(fixture.db()).Select(hints, matchers);
      REQUIRE(selected.ok());
      set = *std::move(selected);
    } else {
      auto chunks = fixture.db().SelectChunks(kAllTime, matchers);
      REQUIRE(chunks.ok());
      set = DecodeSeriesSet(*std::move(chunks), kAllTime);
    }
    Shown shown;
    while (set->Next()) {
      model::SampleColumns samples;
      REQUIRE(set->At()->Read(&samples).ok());
      for (std::size_t i = 0; i < samples.size(); ++i) {
        const bool histogram =
            !samples.histograms.empty() && samples.histograms[i] != nullptr;
        shown[samples.timestamps_ms[i]] =
            Show(histogram ? samples.histograms[i]->count : samples.values[i],
                 samples.starts_ms.empty() ? 0 : samples.starts_ms[i]);
      }
    }
    REQUIRE(set->status().ok());
    return shown;
  }

  void Check() {
    for (const bool as_samples : {false, true}) {
      INFO(as_samples);
      CHECK(Read(kRequests, as_samples) == expected[0]);
      CHECK(Read(kLatency, as_samples) == expected[1]);
    }
  }

  DbFixture fixture;
  bool keeps_starts = true;
  Shown expected[2];
};

}  // namespace

TEST_CASE("start times outlive restarts from the log") {
  Stored stored;
  stored.AppendAll(0, 130);
  stored.Check();
  stored.fixture.Reopen();
  stored.Check();
  REQUIRE(stored.fixture.db().MoveFullChunks().ok());
  stored.AppendAll(130, 180);
  stored.Check();
  stored.fixture.Reopen();
  stored.Check();
}

TEST_CASE("start times outlive restarts from a snapshot of memory") {
  DbOptions options = Options();
  options.memory_snapshot = true;
  Stored stored(options);
  for (int round = 0; round < 4; ++round) {
    stored.AppendAll(round * 45, round * 45 + 45);
    if (round == 1) REQUIRE(stored.fixture.db().MoveFullChunks().ok());
    stored.fixture.Close();
    // So that nothing but the snapshot can tell.
    namespace fs = std::filesystem;
    for (const auto& entry :
         fs::directory_iterator(stored.fixture.path() + "/wal")) {
      const std::size_t size = entry.file_size();
      std::ofstream(entry.path(), std::ios::binary | std::ios::trunc)
          << std::string(size, '\x77');
    }
    stored.fixture.Open();
    stored.Check();
  }
}

TEST_CASE("start times go into blocks, through compactions and deletions") {
  Stored stored;
  stored.AppendAll(0, 800);
  REQUIRE(stored.fixture.db().Maintain().ok());
  CHECK_FALSE(stored.fixture.db().Blocks().empty());
  stored.Check();
  stored.fixture.Reopen();
  stored.Check();
  const storage::TimeRange middle{kStart + 95 * kMinute,
                                  kStart + 105 * kMinute};
  for (const auto* name : {"requests_total", "latency"}) {
    REQUIRE(stored.fixture.db()
                .DeleteSeries(middle, {Match("__name__", "=", name)})
                .ok());
  }
  for (Shown& expected : stored.expected) {
    expected.erase(expected.lower_bound(middle.min_ms),
                   expected.upper_bound(middle.max_ms));
  }
  stored.Check();
  REQUIRE(stored.fixture.db().CleanTombstones().ok());
  stored.Check();
  REQUIRE(stored.fixture.db().Flush().ok());
  stored.Check();
}

TEST_CASE("start times of samples out of order are kept") {
  DbOptions options = Options();
  options.out_of_order_window_ms = 600 * kMinute;
  options.out_of_order_cap_max = 10;
  Stored stored(options);
  stored.AppendAll(100, 140);
  stored.AppendAll(10, 75);
  stored.Check();
  REQUIRE(stored.fixture.db().MoveFullChunks().ok());
  stored.Check();
  stored.fixture.Reopen();
  stored.Check();
  REQUIRE(stored.fixture.db().CompactOutOfOrder().ok());
  stored.Check();
  stored.fixture.Reopen();
  stored.Check();
}

TEST_CASE("blocks get XOR2 chunks when they are asked for") {
  DbOptions options = Options();
  options.xor2_blocks = true;
  Stored stored(options);
  stored.AppendAll(0, 200);
  REQUIRE(stored.fixture.db().Flush().ok());
  stored.Check();
  auto set = stored.fixture.db().SelectChunks(
      kAllTime, {Match("__name__", "=", "requests_total")});
  REQUIRE(set.ok());
  storage::ChunkSeries series;
  REQUIRE((*set)->Next(&series));
  for (const storage::Chunk& chunk : series.chunks) {
    CHECK(chunk.encoding == storage::Encoding::kXor2);
  }
  stored.fixture.db().SetXor2Blocks(false);
  stored.AppendAll(200, 230);
  stored.Check();
}

TEST_CASE("start times are left out unless they are asked for") {
  DbOptions options = Options();
  options.start_times = false;
  options.histogram_start_times = false;
  Stored stored(options);
  stored.keeps_starts = false;
  stored.AppendAll(0, 130);
  stored.Check();
  stored.fixture.Reopen();
  stored.Check();
}

}  // namespace narthex::tsdb
