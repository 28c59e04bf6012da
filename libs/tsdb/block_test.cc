#include "libs/tsdb/block.h"

#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "libs/base/file.h"
#include "libs/tsdb/block_fixture.h"
#include "libs/tsdb/block_writer.h"
#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/compact.h"
#include "libs/tsdb/histogram_fixture.h"

namespace narthex::tsdb {
namespace {

constexpr std::int64_t kSpan = 7200000;
constexpr storage::TimeRange kAll = {model::kMinTime, model::kMaxTime};

SeriesModel RandomData(std::mt19937& random, std::size_t series) {
  SeriesModel data;
  while (data.size() < series) {
    auto& samples = data[{{"__name__", "m" + std::to_string(random() % 5)},
                          {"job", std::to_string(random() % 3)},
                          {"i", std::to_string(random() % 50)}}];
    std::int64_t time = random() % 600000;
    for (; time < kSpan; time += 15000 + random() % 30000) {
      samples[time] = static_cast<double>(random() % 100);
    }
  }
  return data;
}

SeriesModel SelectFrom(const Block& block, const storage::TimeRange& range,
                       const std::vector<model::Matcher>& matchers) {
  auto set = block.Select(range, matchers);
  REQUIRE(set.ok());
  return ReadAll(std::move(*set), range);
}

TEST_CASE("a block answers selections by matchers and range") {
  std::mt19937 random(1);
  const base::TemporaryDirectory directory;
  const SeriesModel data = RandomData(random, 80);
  const auto block = WriteBlock(directory.path(), data, 0, kSpan);
  const std::vector<std::vector<model::Matcher>> cases = {
      {},
      {Match("__name__", "=", "m1")},
      {Match("__name__", "=~", "m[12]"), Match("job", "!=", "0")},
      {Match("i", "=~", "1|2|3|40")},
      {Match("absent", "=", "x")},
  };
  for (const auto& matchers : cases) {
    for (const storage::TimeRange range :
         {kAll, storage::TimeRange{1000000, 2000000}, storage::TimeRange{0, 0},
          storage::TimeRange{kSpan, kSpan * 2},
          storage::TimeRange{-5, 300000}}) {
      CHECK(SelectFrom(*block, range, matchers) ==
            Filter(data, range, matchers));
    }
  }
  const BlockMeta meta = block->meta();
  CHECK(meta.stats.series == data.size());
  std::size_t samples = 0;
  for (const auto& [labels, s] : data) samples += s.size();
  CHECK(meta.stats.samples == samples);
  CHECK(meta.compaction.sources == std::vector<Ulid>{block->ulid()});
}

TEST_CASE("a block lists label names and values, of all or of some series") {
  SeriesModel data;
  for (int i = 0; i < 1500; ++i) {
    data[{{"__name__", "many"}, {"n", std::to_string(i)}, {"p", "q"}}] = {
        {1, 1}};
  }
  data[{{"__name__", "one"}, {"only", "x"}}] = {{1, 1}};
  const base::TemporaryDirectory directory;
  const auto block = WriteBlock(directory.path(), data, 0, kSpan);
  using Texts = std::vector<std::string>;
  CHECK(*block->LabelNames({}) == Texts{"__name__", "n", "only", "p"});
  CHECK(*block->LabelNames({Match("only", "=", "x")}) ==
        Texts{"__name__", "only"});
  CHECK(*block->LabelValues("__name__", {}) == Texts{"many", "one"});
  CHECK(*block->LabelValues("__name__", {Match("p", "=", "q")}) ==
        Texts{"many"});
  CHECK(block->LabelValues("n", {Match("p", "=", "q")})->size() == 1500);
  CHECK(*block->LabelValues("n", {Match("n", "=~", "7|3")}) == Texts{"3", "7"});
  CHECK(block->LabelValues("absent", {})->empty());
}

TEST_CASE("deleted samples are gone, also after the block is opened again") {
  std::mt19937 random(2);
  const base::TemporaryDirectory directory;
  SeriesModel data = RandomData(random, 30);
  auto block = WriteBlock(directory.path(), data, 0, kSpan, 20);
  const auto erase = [&](const storage::TimeRange& range,
                         const std::vector<model::Matcher>& matchers) {
    REQUIRE(block->Delete(range, matchers).ok());
    for (const auto& [labels, samples] : Filter(data, range, matchers)) {
      for (const auto& [time, value] : samples) data[labels].erase(time);
      if (data[labels].empty()) data.erase(labels);
    }
  };
  erase({1000000, 3000000}, {Match("job", "=", "1")});
  CHECK(SelectFrom(*block, kAll, {}) == data);
  erase({2500000, 2900000}, {Match("__name__", "=", "m2")});
  erase(kAll, {Match("__name__", "=", "m3")});
  CHECK(SelectFrom(*block, kAll, {}) == data);
  CHECK(block->meta().stats.tombstones > 0);

  const auto again = Block::Open(block->directory());
  REQUIRE(again.ok());
  CHECK(SelectFrom(**again, kAll, {}) == data);
  CHECK((*again)->meta() == block->meta());
  CHECK(SelectFrom(**again, {2000000, 4000000}, {Match("job", "=", "1")}) ==
        Filter(data, {2000000, 4000000}, {Match("job", "=", "1")}));
}

TEST_CASE("a selection outlives the block's directory") {
  const base::TemporaryDirectory directory;
  const SeriesModel data = {{{{"a", "b"}}, {{1, 1}, {2, 2}}}};
  auto block = WriteBlock(directory.path(), data, 0, kSpan);
  auto set = block->Select(kAll, {});
  REQUIRE(set.ok());
  REQUIRE(base::RemoveAll(block->directory()).ok());
  block.reset();
  CHECK(ReadAll(std::move(*set), kAll) == data);
}

TEST_CASE("a block that is not finished leaves nothing behind") {
  const base::TemporaryDirectory directory;
  {
    auto writer = BlockWriter::Create(directory.path(), BlockMeta());
    REQUIRE(writer.ok());
    REQUIRE((*writer)->AddSeries({{"a", "b"}}, {}).ok());
    CHECK(base::ListDirectory(directory.path())->size() == 1);
  }
  CHECK(base::ListDirectory(directory.path())->empty());
}

TEST_CASE("a writer refuses series out of order and chunks that overlap") {
  const base::TemporaryDirectory directory;
  auto writer = BlockWriter::Create(directory.path(), BlockMeta());
  REQUIRE((*writer)->AddSeries({{"b", "1"}}, {}).ok());
  CHECK(absl::IsInvalidArgument((*writer)->AddSeries({{"b", "1"}}, {})));
  CHECK(absl::IsInvalidArgument((*writer)->AddSeries({{"a", "1"}}, {})));
  model::SampleColumns samples;
  samples.Append(1, 1);
  samples.Append(5, 1);
  std::vector<storage::Chunk> chunks;
  EncodeChunks(samples, 120, &chunks);
  EncodeChunks(samples, 120, &chunks);
  CHECK(absl::IsInvalidArgument((*writer)->AddSeries({{"c", "1"}}, chunks)));
}

TEST_CASE("histograms are written, counted, cut by deletions and compacted") {
  const base::TemporaryDirectory directory;
  const std::string parent = directory.path();
  RandomHistograms source(1, /*gauge=*/false);
  std::vector<StoredSample> samples;
  std::map<std::int64_t, HistogramFacts> expected;
  for (int i = 0; i < 100; ++i) {
    StoredSample sample;
    sample.timestamp_ms = i * 10;
    if (i < 40) {
      sample.value = i;
    } else {
      sample.histogram.integer =
          std::make_shared<const model::IntHistogram>(source.Next());
      if (i % 20 > 5) expected[i * 10] = FactsOf(sample);
    }
    samples.push_back(sample);
  }
  std::vector<std::shared_ptr<Block>> blocks;
  for (const std::size_t parity : {0, 1}) {
    std::vector<StoredSample> half;
    for (std::size_t i = parity; i < samples.size(); i += 2) {
      half.push_back(samples[i]);
    }
    std::vector<storage::Chunk> chunks;
    EncodeStored(half, 120, &chunks);
    BlockMeta meta;
    meta.ulid = Ulid::New(1);
    meta.max_ms = kSpan;
    auto writer = BlockWriter::Create(parent, meta);
    REQUIRE((*writer)->AddSeries({{"__name__", "h"}}, chunks).ok());
    const auto finished = (*writer)->Finish();
    REQUIRE(finished.ok());
    CHECK(finished->stats.float_samples == 20);
    CHECK(finished->stats.histogram_samples == 30);
    auto block = Block::Open(parent + "/" + finished->ulid.ToString());
    REQUIRE(block.ok());
    for (std::int64_t from = 0; from < 1000; from += 200) {
      REQUIRE((*block)->Delete({from, from + 50}, {}).ok());
    }
    blocks.push_back(*block);
  }
  const auto compacted = CompactBlocks(parent, blocks, 2);
  REQUIRE(compacted.ok());
  CHECK((*compacted)->stats.float_samples == 28);
  CHECK((*compacted)->stats.histogram_samples == 42);
  const auto block = Block::Open(parent + "/" + (*compacted)->ulid.ToString());
  REQUIRE(block.ok());
  auto set = (*block)->Select(kAll, {});
  storage::ChunkSeries series;
  REQUIRE((*set)->Next(&series));
  model::SampleColumns columns;
  REQUIRE(DecodeChunks(series.chunks, kAll, &columns).ok());
  CHECK(columns.size() == 70);
  CHECK(FactsOf(columns) == expected);
}

TEST_CASE("a chunk of an unknown encoding is not written") {
  const base::TemporaryDirectory directory;
  auto writer = BlockWriter::Create(directory.path(), BlockMeta());
  storage::Chunk chunk;
  chunk.min_ms = 5;
  chunk.max_ms = 9;
  chunk.encoding = static_cast<storage::Encoding>(9);
  chunk.bytes = absl::string_view("\0\2xxxx", 6);
  CHECK(
      absl::IsDataLoss((*writer)->AddSeries({{"__name__", "h"}}, {&chunk, 1})));
}

TEST_CASE("a directory that is no whole block is refused with a reason") {
  const base::TemporaryDirectory directory;
  const SeriesModel data = {{{{"a", "b"}}, {{1, 1}, {2, 2}}}};
  for (const std::string file :
       {"meta.json", "index", "chunks", "chunks/000001", "tombstones"}) {
    const auto block = WriteBlock(directory.path(), data, 0, kSpan);
    const std::string path = block->directory() + "/" + file;
    REQUIRE(base::RemoveAll(path).ok());
    const auto opened = Block::Open(block->directory());
    if (file == "tombstones") {
      CHECK(opened.ok());
    } else if (file == "chunks/000001") {
      auto set = (*opened)->Select(kAll, {});
      storage::ChunkSeries series;
      CHECK_FALSE((*set)->Next(&series));
      CHECK(absl::IsDataLoss((*set)->status()));
    } else {
      CHECK(absl::IsNotFound(opened.status()));
      CHECK_THAT(std::string(opened.status().message()), Catch::Contains(path));
    }
  }
}

}  // namespace
}  // namespace narthex::tsdb
