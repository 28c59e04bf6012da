#include "libs/tsdb/mem_series.h"

#include <catch2/catch.hpp>
#include <limits>

#include "libs/model/sample.h"
#include "libs/tsdb/chunk_series.h"

namespace narthex::tsdb {
namespace {

constexpr std::int64_t kHour = 60 * 60 * 1000;
constexpr std::int64_t kStart = 1700006400000;
constexpr ChunkRules kRules{2 * kHour, 120};
constexpr storage::TimeRange kAll{std::numeric_limits<std::int64_t>::min(),
                                  std::numeric_limits<std::int64_t>::max()};

std::vector<std::size_t> SamplesPerChunk(const MemSeries& series) {
  std::vector<storage::Chunk> chunks;
  series.CopyChunks(kAll, &chunks);
  std::vector<std::size_t> counts;
  for (const storage::Chunk& chunk : chunks) {
    model::SampleColumns samples;
    REQUIRE(DecodeChunk(chunk, kAll, &samples).ok());
    counts.push_back(samples.size());
  }
  return counts;
}

TEST_CASE("a series of many is small") { CHECK(sizeof(MemSeries) <= 72); }

TEST_CASE("chunks share the time until the edge of a block evenly") {
  MemSeries series;
  // Every 15 seconds for two hours: 480 samples, in 4 chunks as in Prometheus.
  for (int i = 0; i < 480; ++i) {
    series.Append(kStart + i * 15000, i, kRules);
  }
  CHECK(SamplesPerChunk(series) ==
        std::vector<std::size_t>{120, 120, 120, 120});
  series.Append(kStart + 2 * kHour, 1, kRules);
  CHECK(series.chunk_count() == 5);
}

TEST_CASE("a chunk ends before it grows too many bytes or samples") {
  MemSeries noisy;
  double value = 0.1;
  for (int i = 0; i < 400; ++i) {
    value = value * 1.37 + static_cast<double>(i) / 7;
    noisy.Append(kStart + i * 7919 % 3 + i * 4, value, kRules);
  }
  std::vector<storage::Chunk> chunks;
  noisy.CopyChunks(kAll, &chunks);
  CHECK(chunks.size() > 2);
  for (const storage::Chunk& chunk : chunks) CHECK(chunk.bytes.size() <= 1024);

  MemSeries faster;
  for (int i = 0; i < 30; ++i) faster.Append(kStart + i * 60000, 1, kRules);
  for (int i = 0; i < 1000; ++i) {
    faster.Append(kStart + 30 * 60000 + i, 1, kRules);
  }
  CHECK(SamplesPerChunk(faster).front() == 240);
}

TEST_CASE("samples are judged by the newest one") {
  MemSeries series;
  CHECK(series.Check(5, 1) == MemSeries::Verdict::kNew);
  series.Append(5, 1, kRules);
  CHECK(series.Check(6, 1) == MemSeries::Verdict::kNew);
  CHECK(series.Check(5, 1) == MemSeries::Verdict::kSame);
  CHECK(series.Check(5, 2) == MemSeries::Verdict::kDuplicate);
  CHECK(series.Check(4, 1) == MemSeries::Verdict::kOutOfOrder);
  series.Append(6, model::StaleNan(), kRules);
  CHECK(series.stale());
  CHECK(series.Check(6, model::StaleNan()) == MemSeries::Verdict::kSame);
  CHECK(series.Check(6, model::NormalNan()) == MemSeries::Verdict::kDuplicate);
}

TEST_CASE("truncation drops the chunks that end too early") {
  MemSeries series;
  for (int i = 0; i < 600; ++i) series.Append(kStart + i * 15000, i, kRules);
  CHECK(series.min_ms() == kStart);
  CHECK(series.Truncate(kStart + 119 * 15000) == 0);
  CHECK(series.Truncate(kStart + 119 * 15000 + 1) == 1);
  CHECK(series.min_ms() == kStart + 120 * 15000);
  CHECK(series.Truncate(kStart + 10 * kHour) == 4);
  CHECK(series.empty());
}

TEST_CASE("chunks moved to files read as before") {
  MemSeries series;
  for (int i = 0; i < 600; ++i) series.Append(kStart + i * 15000, i, kRules);
  const auto before = SamplesPerChunk(series);
  const std::size_t heap = series.heap_bytes();
  std::vector<HeadChunk> chunks;
  series.CollectHeapChunks(7, &chunks);
  REQUIRE(chunks.size() == 4);
  CHECK(chunks[0].ref == 7);
  CHECK(chunks[0].min_ms == kStart);
  std::vector<std::string> elsewhere;
  for (const HeadChunk& chunk : chunks) elsewhere.emplace_back(chunk.bytes);
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    series.ReplaceBytes(chunks[i].bytes, elsewhere[i]);
  }
  CHECK(SamplesPerChunk(series) == before);
  CHECK(series.heap_bytes() < heap / 2);
  chunks.clear();
  series.CollectHeapChunks(7, &chunks);
  CHECK(chunks.empty());
  CHECK(series.Truncate(kStart + 10 * kHour) == 5);
}

}  // namespace
}  // namespace narthex::tsdb
