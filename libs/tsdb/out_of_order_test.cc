#include "libs/tsdb/out_of_order.h"

#include <catch2/catch.hpp>
#include <map>
#include <random>

#include "libs/tsdb/chunk_series.h"

namespace narthex::tsdb {
namespace {

constexpr storage::TimeRange kAll{model::kMinTime, model::kMaxTime};
using Samples = std::map<std::int64_t, double>;

Samples Decode(const std::vector<storage::Chunk>& chunks) {
  Samples all;
  for (const storage::Chunk& chunk : chunks) {
    model::SampleColumns columns;
    REQUIRE(DecodeChunk(chunk, kAll, &columns).ok());
    CHECK(columns.timestamps_ms.front() == chunk.min_ms);
    CHECK(columns.timestamps_ms.back() == chunk.max_ms);
    for (std::size_t i = 0; i < columns.size(); ++i) {
      all[columns.timestamps_ms[i]] = columns.values[i];
    }
  }
  return all;
}

Samples All(const OutOfOrderSeries& series) {
  std::vector<storage::Chunk> chunks;
  series.Copy(kAll, &chunks);
  return Decode(chunks);
}

}  // namespace

TEST_CASE("samples inserted in any order come back, a full buffer as a chunk") {
  std::mt19937 random(7);
  OutOfOrderSeries series;
  Samples expected;
  int begun = 0;
  for (int i = 0; i < 200; ++i) {
    const std::int64_t time = static_cast<int>(random() % 100'000);
    const auto inserted = series.Insert(time, i, 32);
    if (inserted.chunk_begun) ++begun;
    if (inserted.taken) expected[time] = i;
  }
  CHECK(begun == 7);
  CHECK(series.chunk_count() == 7);
  CHECK(All(series) == expected);
  CHECK(series.range().min_ms == expected.begin()->first);
  CHECK(series.range().max_ms == expected.rbegin()->first);
}

TEST_CASE("the first of two samples with one time stays in the buffer") {
  OutOfOrderSeries series;
  CHECK(series.Insert(5, 1, 32).taken);
  CHECK_FALSE(series.Insert(5, 2, 32).taken);
  CHECK(All(series) == Samples{{5, 1}});
}

TEST_CASE("only what overlaps a range is copied") {
  OutOfOrderSeries series;
  for (const int time : {10, 20, 50, 60}) series.Insert(time, time, 2);
  std::vector<storage::Chunk> chunks;
  series.Copy({21, 49}, &chunks);
  CHECK(chunks.empty());
  series.Copy({20, 20}, &chunks);
  CHECK(Decode(chunks) == Samples{{10, 10}, {20, 20}});
  chunks.clear();
  series.Copy({55, 70}, &chunks);
  CHECK(Decode(chunks) == Samples{{50, 50}, {60, 60}});
}

TEST_CASE("what comes after sealing outlives what was sealed") {
  OutOfOrderSeries series;
  for (int i = 0; i < 5; ++i) series.Insert(i, i, 2);
  CHECK(series.sealed_range().min_ms > series.sealed_range().max_ms);
  series.Seal();
  for (int i = 5; i < 10; ++i) series.Insert(i, i, 2);
  std::vector<storage::Chunk> sealed;
  series.CopySealed(kAll, &sealed);
  CHECK(Decode(sealed).size() == 5);
  CHECK(series.sealed_range().max_ms == 4);
  CHECK(All(series).size() == 10);
  CHECK(series.DropSealed() == 3);
  CHECK(All(series) == Samples{{5, 5}, {6, 6}, {7, 7}, {8, 8}, {9, 9}});
  series.Seal();
  series.DropSealed();
  CHECK(series.empty());
}

}  // namespace narthex::tsdb
