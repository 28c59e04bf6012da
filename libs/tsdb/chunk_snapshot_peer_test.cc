// Snapshots of memory that one writes and the other starts from.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/tsdb/chunk_snapshot.h"
#include "libs/tsdb/db_fixture.h"
#include "libs/tsdb/histogram_fixture.h"
#include "libs/tsdb/peer_fixture.h"

namespace narthex::tsdb {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMinute = 60 * 1000;
constexpr std::int64_t kStart = 1700006400000;
constexpr int kMinutes = 100;
const std::vector<std::string> kWithSnapshots = {
    "--enable-feature=memory-snapshot-on-shutdown,native-histograms"};

DbOptions Options(bool memory_snapshot) {
  DbOptions options;
  options.retention.time_ms = 0;
  options.samples_per_chunk = 30;
  options.memory_snapshot = memory_snapshot;
  return options;
}

// Floats and histograms of kMinutes, some deleted; and what a query of them
// gives.
void Fill(DbFixture& fixture) {
  const auto series = MakeSeries(50);
  const auto ref =
      fixture.db().GetOrCreateSeries(model::Labels({{"__name__", "latency"}}));
  RandomHistograms random(5, /*gauge=*/false);
  for (int i = 0; i < kMinutes; ++i) {
    fixture.Append(series, kStart + i * kMinute, i);
    RefHistogram one{*ref, kStart + i * kMinute, 0, {}};
    one.value.integer = std::make_shared<model::IntHistogram>(random.Next());
    AppendBatch batch;
    batch.histograms = {&one, 1};
    std::vector<storage::Rejection> rejected;
    REQUIRE(fixture.db().Append(batch, &rejected).ok());
    if (i == 60) REQUIRE(fixture.db().MoveFullChunks().ok());
  }
  REQUIRE(
      fixture.db()
          .DeleteSeries({kStart, kStart + 9 * kMinute}, {Match("i", "=", "3")})
          .ok());
}

constexpr int kFloats = 50 * kMinutes - 10;

// Makes the log useless without changing how long it is.
void SpoilLog(const std::string& directory) {
  for (const auto& entry : fs::directory_iterator(directory + "/wal")) {
    const std::size_t size = entry.file_size();
    std::ofstream(entry.path(), std::ios::binary | std::ios::trunc)
        << std::string(size, '\0');
  }
}

std::string Ask(const RunningPrometheus& prometheus, const std::string& query) {
  const std::string answer = prometheus.Get(
      absl::StrCat("/api/v1/query?time=", (kStart + kMinutes * kMinute) / 1000,
                   "&query=", query));
  INFO(answer);
  const auto result = nlohmann::json::parse(answer)["data"]["result"];
  return result.empty() ? "" : result[0]["value"][1].get<std::string>();
}

void CheckAnswers(const RunningPrometheus& prometheus) {
  CHECK(Ask(prometheus, "sum(count_over_time(%7Bjob=%22test%22%7D%5B3h%5D))") ==
        absl::StrCat(kFloats));
  CHECK(Ask(prometheus, "sum(last_over_time(%7Bjob=%22test%22%7D%5B3h%5D))") ==
        absl::StrCat(50 * (kMinutes - 1)));
  CHECK(Ask(prometheus, "count(latency%20offset%201m)") != "");
}

TEST_CASE("Prometheus starts from a snapshot of memory that we wrote") {
  const std::string program = PeerProgram("prometheus");
  if (program.empty()) return;
  DbFixture fixture(Options(true));
  Fill(fixture);
  fixture.Close();
  SpoilLog(fixture.path());
  RunningPrometheus prometheus(program, fixture.path(), kWithSnapshots);
  INFO(prometheus.Log());
  CHECK(absl::StrContains(prometheus.Log(), "chunk snapshot loaded"));
  CheckAnswers(prometheus);
  // And we from what it leaves.
  prometheus.Stop();
  SpoilLog(fixture.path());
  fixture.Open();
  CHECK(absl::StrContains(fixture.registry().Expose(),
                          "\nprometheus_tsdb_snapshot_replay_error_total 0"));
  auto floats = fixture.Select(kAllTime, {Match("job", "=", "test")});
  std::size_t count = 0;
  for (const auto& [labels, samples] : floats) count += samples.size();
  CHECK(count == kFloats);
}

TEST_CASE("a snapshot of memory that Prometheus wrote brings all back") {
  const std::string program = PeerProgram("prometheus");
  if (program.empty()) return;
  DbFixture fixture(Options(false));
  Fill(fixture);
  const auto before = fixture.Select(kAllTime, {Match("job", "=", "test")});
  fixture.Close();
  {
    RunningPrometheus prometheus(program, fixture.path(), kWithSnapshots);
    CheckAnswers(prometheus);
    prometheus.Stop();
    INFO(prometheus.Log());
    REQUIRE(FindChunkSnapshot(fixture.path())->has_value());
  }
  fixture.set_options(Options(true));
  SpoilLog(fixture.path());
  fixture.Open();
  CHECK(absl::StrContains(fixture.registry().Expose(),
                          "\nprometheus_tsdb_snapshot_replay_error_total 0"));
  CHECK(fixture.Select(kAllTime, {Match("job", "=", "test")}) == before);
  auto set =
      fixture.db().SelectChunks(kAllTime, {Match("__name__", "=", "latency")});
  REQUIRE(set.ok());
  storage::ChunkSeries series;
  std::size_t histograms = 0;
  while ((*set)->Next(&series)) {
    for (const storage::Chunk& chunk : series.chunks) {
      std::vector<StoredSample> samples;
      REQUIRE(DecodeStored(chunk, kAllTime, &samples).ok());
      histograms += samples.size();
    }
  }
  CHECK(histograms == kMinutes);
}

}  // namespace
}  // namespace narthex::tsdb
