#include "libs/tsdb/mem_series.h"

#include <catch2/catch.hpp>
#include <limits>
#include <memory>
#include <string>

#include "libs/model/sample.h"
#include "libs/tsdb/chunk_series.h"

namespace narthex::tsdb {
namespace {

constexpr std::int64_t kHour = 60 * 60 * 1000;
constexpr std::int64_t kStart = 1700006400000;
constexpr ChunkRules kRules{2 * kHour, 120};
constexpr storage::TimeRange kAll{std::numeric_limits<std::int64_t>::min(),
                                  std::numeric_limits<std::int64_t>::max()};

// A series with an arena of its own.
struct Series {
  SampleArena arena;
  MemSeries series;

  MemSeries::Appended Append(std::int64_t timestamp_ms, double value) {
    return series.Append(arena, timestamp_ms, value, kRules);
  }
  std::vector<storage::Chunk> Chunks(
      const storage::TimeRange& range = kAll) const {
    std::vector<storage::Chunk> chunks;
    series.CopyChunks(arena, range, &chunks);
    return chunks;
  }
};

std::vector<std::size_t> SamplesPerChunk(const Series& series) {
  const std::vector<storage::Chunk> chunks = series.Chunks();
  std::vector<std::size_t> counts;
  for (const storage::Chunk& chunk : chunks) {
    model::SampleColumns samples;
    REQUIRE(DecodeChunk(chunk, kAll, &samples).ok());
    counts.push_back(samples.size());
  }
  return counts;
}

TEST_CASE("a series of many is small") { CHECK(sizeof(MemSeries) <= 32); }

TEST_CASE("chunks share the time until the edge of a block evenly") {
  Series s;
  // Every 15 seconds for two hours: 480 samples, in 4 chunks as in Prometheus.
  for (int i = 0; i < 480; ++i) {
    s.Append(kStart + i * 15000, i);
  }
  CHECK(SamplesPerChunk(s) == std::vector<std::size_t>{120, 120, 120, 120});
  s.Append(kStart + 2 * kHour, 1);
  CHECK(s.series.chunk_count(s.arena) == 5);
}

TEST_CASE("a chunk ends before it grows too many bytes or samples") {
  Series noisy;
  double value = 0.1;
  for (int i = 0; i < 400; ++i) {
    value = value * 1.37 + static_cast<double>(i) / 7;
    noisy.Append(kStart + i * 7919 % 3 + i * 4, value);
  }
  const std::vector<storage::Chunk> chunks = noisy.Chunks();
  CHECK(chunks.size() > 2);
  for (const storage::Chunk& chunk : chunks) CHECK(chunk.bytes.size() <= 1024);

  Series faster;
  for (int i = 0; i < 30; ++i) faster.Append(kStart + i * 60000, 1);
  for (int i = 0; i < 1000; ++i) {
    faster.Append(kStart + 30 * 60000 + i, 1);
  }
  CHECK(SamplesPerChunk(faster).front() == 240);
}

TEST_CASE("a chunk is full with the last sample before its end") {
  Series s;
  for (int i = 0; i < 119; ++i) CHECK(!s.Append(kStart + i * 15000, i).filled);
  CHECK(s.Append(kStart + 119 * 15000, 119).filled);
  std::vector<HeadChunk> chunks;
  std::vector<std::unique_ptr<std::string>> bytes;
  s.series.CollectArenaChunks(s.arena, 7, &chunks, &bytes);
  REQUIRE(chunks.size() == 1);
  s.series.UseMapped(s.arena, kStart, chunks[0].bytes);
  // The newest sample is known all the same.
  CHECK(!s.series.empty());
  CHECK(s.series.max_ms(s.arena) == kStart + 119 * 15000);
  CHECK(s.series.last_value() == 119);
  CHECK(s.series.Check(s.arena, kStart + 119 * 15000, 119) ==
        MemSeries::Verdict::kSame);
  CHECK(s.series.Check(s.arena, kStart, 0) == MemSeries::Verdict::kOutOfOrder);
  CHECK(SamplesPerChunk(s) == std::vector<std::size_t>{120});
  // One that comes sooner than expected begins a chunk too.
  CHECK(s.Append(kStart + 119 * 15000 + 1, 1).begun);
  CHECK(SamplesPerChunk(s) == std::vector<std::size_t>{120, 1});
  CHECK(s.series.Truncate(s.arena, kStart + kHour) == 2);
  CHECK(s.series.empty());
  CHECK(s.series.Check(s.arena, kStart, 0) == MemSeries::Verdict::kNew);
}

TEST_CASE("samples are judged by the newest one") {
  Series s;
  CHECK(s.series.Check(s.arena, 5, 1) == MemSeries::Verdict::kNew);
  s.Append(5, 1);
  CHECK(s.series.Check(s.arena, 6, 1) == MemSeries::Verdict::kNew);
  CHECK(s.series.Check(s.arena, 5, 1) == MemSeries::Verdict::kSame);
  CHECK(s.series.Check(s.arena, 5, 2) == MemSeries::Verdict::kDuplicate);
  CHECK(s.series.Check(s.arena, 4, 1) == MemSeries::Verdict::kOutOfOrder);
  s.Append(6, model::StaleNan());
  CHECK(s.series.stale());
  CHECK(s.series.Check(s.arena, 6, model::StaleNan()) ==
        MemSeries::Verdict::kSame);
  CHECK(s.series.Check(s.arena, 6, model::NormalNan()) ==
        MemSeries::Verdict::kDuplicate);
}

TEST_CASE("truncation drops the chunks that end too early") {
  Series s;
  for (int i = 0; i < 600; ++i) s.Append(kStart + i * 15000, i);
  CHECK(s.series.min_ms(s.arena) == kStart);
  CHECK(s.series.Truncate(s.arena, kStart + 119 * 15000) == 0);
  CHECK(s.series.Truncate(s.arena, kStart + 119 * 15000 + 1) == 1);
  CHECK(s.series.min_ms(s.arena) == kStart + 120 * 15000);
  CHECK(s.series.Truncate(s.arena, kStart + 10 * kHour) == 4);
  CHECK(s.series.empty());
  CHECK(s.arena.used_bytes() == 0);
}

TEST_CASE("chunks moved to files read as before") {
  Series s;
  for (int i = 0; i < 590; ++i) s.Append(kStart + i * 15000, i);
  const auto before = SamplesPerChunk(s);
  const std::size_t used = s.arena.used_bytes();
  std::vector<HeadChunk> chunks;
  std::vector<std::unique_ptr<std::string>> bytes;
  s.series.CollectArenaChunks(s.arena, 7, &chunks, &bytes);
  REQUIRE(chunks.size() == 4);
  CHECK(chunks[0].ref == 7);
  CHECK(chunks[0].min_ms == kStart);
  for (const HeadChunk& chunk : chunks) {
    s.series.UseMapped(s.arena, chunk.min_ms, chunk.bytes);
  }
  CHECK(SamplesPerChunk(s) == before);
  CHECK(s.arena.used_bytes() < used / 2);
  chunks.clear();
  s.series.CollectArenaChunks(s.arena, 7, &chunks, &bytes);
  CHECK(chunks.empty());
  CHECK(s.series.Truncate(s.arena, kStart + 10 * kHour) == 5);
  CHECK(s.arena.used_bytes() == 0);
}

TEST_CASE("a range reads the chunks that overlap it") {
  Series s;
  for (int i = 0; i < 600; ++i) s.Append(kStart + i * 15000, i);
  const auto starts = [&](std::int64_t from, std::int64_t to) {
    std::vector<std::int64_t> found;
    for (const auto& chunk : s.Chunks({kStart + from, kStart + to})) {
      found.push_back((chunk.min_ms - kStart) / 15000);
    }
    return found;
  };
  using Starts = std::vector<std::int64_t>;
  CHECK(starts(-10, -1) == Starts{});
  CHECK(starts(0, 0) == Starts{0});
  CHECK(starts(130 * 15000, 250 * 15000) == Starts{120, 240});
  CHECK(starts(590 * 15000, 20 * kHour) == Starts{480});
}

}  // namespace
}  // namespace narthex::tsdb
