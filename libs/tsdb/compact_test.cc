#include "libs/tsdb/compact.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>

#include "libs/base/file.h"
#include "libs/tsdb/block_fixture.h"

namespace narthex::tsdb {
namespace {

constexpr storage::TimeRange kAll = {model::kMinTime, model::kMaxTime};

/// A block of [min, max) in hours.
BlockMeta Hours(std::int64_t min, std::int64_t max) {
  BlockMeta meta;
  meta.ulid = Ulid::New(min * 1000 + max);
  meta.min_ms = min * 3600000;
  meta.max_ms = max * 3600000;
  meta.stats.series = 100;
  return meta;
}

std::vector<std::pair<std::int64_t, std::int64_t>> Spans(
    const std::vector<BlockMeta>& metas) {
  std::vector<std::pair<std::int64_t, std::int64_t>> spans;
  for (const auto& meta : metas) {
    spans.emplace_back(meta.min_ms / 3600000, meta.max_ms / 3600000);
  }
  return spans;
}

TEST_CASE("ranges of blocks triple up to a limit") {
  CHECK(CompactionRanges(2, 100) == std::vector<std::int64_t>{2, 6, 18, 54});
  CHECK(CompactionRanges(2, 54) == std::vector<std::int64_t>{2, 6, 18, 54});
  CHECK(CompactionRanges(2, 2) == std::vector<std::int64_t>{2});
}

TEST_CASE("blocks are planned for compaction by level") {
  using Plan = std::vector<std::pair<std::int64_t, std::int64_t>>;
  struct Row {
    std::string what;
    Plan blocks;
    Plan plan;
  };
  const std::vector<Row> rows = {
      {"nothing", {}, {}},
      {"one block", {{0, 2}}, {}},
      {"the newest is left alone", {{0, 2}, {2, 4}, {4, 6}}, {}},
      {"a full span",
       {{0, 2}, {2, 4}, {4, 6}, {6, 8}},
       {{0, 2}, {2, 4}, {4, 6}}},
      {"spans are aligned",
       {{2, 4}, {4, 6}, {6, 8}, {8, 10}},
       {{2, 4}, {4, 6}}},
      {"a span with a gap, older than the newest",
       {{0, 2}, {4, 6}, {6, 8}, {8, 10}},
       {{0, 2}, {4, 6}}},
      {"small ranges go first",
       {{0, 6}, {6, 12}, {12, 14}, {14, 16}, {16, 18}, {18, 20}},
       {{12, 14}, {14, 16}, {16, 18}}},
      {"larger ranges",
       {{0, 6}, {6, 12}, {12, 18}, {18, 20}},
       {{0, 6}, {6, 12}, {12, 18}}},
      {"overlap goes first",
       {{0, 2}, {2, 4}, {4, 6}, {6, 8}, {6, 8}},
       {{6, 8}, {6, 8}}},
      {"overlap of different sizes",
       {{0, 6}, {2, 4}, {5, 8}, {8, 10}},
       {{0, 6}, {2, 4}, {5, 8}}},
      {"before the epoch",
       {{-6, -4}, {-4, -2}, {-2, 0}, {0, 2}},
       {{-6, -4}, {-4, -2}, {-2, 0}}},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    std::vector<BlockMeta> metas;
    for (const auto& [min, max] : row.blocks) metas.push_back(Hours(min, max));
    std::reverse(metas.begin(), metas.end());
    CHECK(Spans(PlanCompaction(
              metas, CompactionRanges(kDefaultBlockMs, 54 * 3600000))) ==
          row.plan);
  }
}

TEST_CASE("blocks whose compaction failed are not planned again") {
  std::vector<BlockMeta> metas = {Hours(0, 2), Hours(2, 4), Hours(4, 6),
                                  Hours(6, 8), Hours(6, 8)};
  metas[1].compaction.failed = true;
  metas[3].compaction.failed = true;
  CHECK(PlanCompaction(metas, CompactionRanges(kDefaultBlockMs, 54 * 3600000))
            .empty());
}

TEST_CASE("a block of which much is deleted is rewritten") {
  const auto ranges = CompactionRanges(kDefaultBlockMs, 54 * 3600000);
  std::vector<BlockMeta> metas = {Hours(0, 18), Hours(18, 20)};
  metas[0].stats.tombstones = 5;
  CHECK(PlanCompaction(metas, ranges).empty());
  metas[0].stats.tombstones = 6;
  CHECK(Spans(PlanCompaction(metas, ranges)) == Spans({metas[0]}));
  metas = {Hours(0, 2), Hours(2, 4)};
  metas[0].stats.tombstones = 99;
  CHECK(PlanCompaction(metas, ranges).empty());
  metas[0].stats.tombstones = 100;
  CHECK(Spans(PlanCompaction(metas, ranges)) == Spans({metas[0]}));
}

SeriesModel RandomData(std::mt19937& random, std::int64_t from,
                       std::int64_t to) {
  SeriesModel data;
  for (int i = 0; i < 40; ++i) {
    auto& samples = data[{{"__name__", "m" + std::to_string(random() % 50)}}];
    for (std::int64_t t = from + random() % 60000; t < to; t += 60000) {
      samples[t] = static_cast<double>(random() % 100);
    }
  }
  return data;
}

std::map<model::Labels, std::set<std::int64_t>> Times(const SeriesModel& data) {
  std::map<model::Labels, std::set<std::int64_t>> times;
  for (const auto& [labels, samples] : data) {
    for (const auto& [time, value] : samples) times[labels].insert(time);
  }
  return times;
}

TEST_CASE("compacted blocks hold all samples of those they were made from") {
  std::mt19937 random(1);
  for (const bool overlapping : {false, true}) {
    const base::TemporaryDirectory directory;
    std::vector<std::shared_ptr<Block>> blocks;
    SeriesModel expected;
    for (int i = 0; i < 3; ++i) {
      const std::int64_t from = i * (overlapping ? 3000000 : 7200000);
      const SeriesModel data = RandomData(random, from, from + 7200000);
      blocks.push_back(
          WriteBlock(directory.path(), data, from, from + 7200000));
      for (const auto& [labels, samples] : data) {
        expected[labels].insert(samples.begin(), samples.end());
      }
    }
    for (const auto& block : blocks) {
      REQUIRE(block->Delete(kAll, {Match("__name__", "=", "m7")}).ok());
    }
    expected.erase({{"__name__", "m7"}});

    const auto meta = CompactBlocks(directory.path(), blocks, 99);
    REQUIRE(meta.ok());
    REQUIRE(meta->has_value());
    CHECK((*meta)->compaction.level == 2);
    CHECK((*meta)->compaction.sources.size() == 3);
    CHECK((*meta)->compaction.parents.size() == 3);
    CHECK((*meta)->min_ms == 0);
    CHECK((*meta)->max_ms == blocks[2]->max_ms());
    const auto block =
        Block::Open(directory.path() + "/" + (*meta)->ulid.ToString());
    REQUIRE(block.ok());
    const SeriesModel found =
        ReadAll(std::move(*(*block)->Select(kAll, {})), kAll);
    if (!overlapping) {
      CHECK(found == expected);
    } else {
      // Where two blocks differ at one time either value may stay.
      CHECK(Times(found) == Times(expected));
    }
    std::vector<BlockMeta> metas = {**meta};
    for (const auto& b : blocks) metas.push_back(b->meta());
    CHECK(SupersededBlocks(metas).size() == 3);
  }
}

TEST_CASE("blocks of which all is deleted are compacted to nothing") {
  const base::TemporaryDirectory directory;
  const auto block =
      WriteBlock(directory.path(), {{{{"a", "b"}}, {{1, 1}}}}, 0, 7200000);
  REQUIRE(block->Delete(kAll, {}).ok());
  const auto meta = CompactBlocks(directory.path(), {block}, 99);
  REQUIRE(meta.ok());
  CHECK_FALSE(meta->has_value());
  CHECK(base::ListDirectory(directory.path())->size() == 1);
}

TEST_CASE("retention by time lets go what is wholly beyond it") {
  const std::vector<BlockMeta> metas = {Hours(0, 2), Hours(2, 4), Hours(4, 6),
                                        Hours(8, 10)};
  const auto hour = 3600000;
  CHECK(BlocksBeyondRetention(metas, 0).empty());
  CHECK(BlocksBeyondRetention(metas, 9 * hour).empty());
  CHECK(BlocksBeyondRetention(metas, 8 * hour).size() == 1);
  CHECK(BlocksBeyondRetention(metas, 7 * hour).size() == 1);
  CHECK(BlocksBeyondRetention(metas, 5 * hour).size() == 2);
}

TEST_CASE("retention by size lets go the oldest blocks first") {
  const base::TemporaryDirectory directory;
  std::vector<std::shared_ptr<Block>> blocks;
  for (int i = 0; i < 3; ++i) {
    blocks.push_back(WriteBlock(directory.path(), {{{{"a", "b"}}, {{i, 1}}}},
                                i * 10, i * 10 + 10));
  }
  const std::uint64_t size = blocks[0]->size_bytes();
  CHECK(BlocksBeyondSize(blocks, 0, 0).empty());
  CHECK(BlocksBeyondSize(blocks, 0, 4 * size).empty());
  CHECK(BlocksBeyondSize(blocks, 0, 2 * size + size / 2) ==
        std::vector<Ulid>{blocks[0]->ulid()});
  CHECK(BlocksBeyondSize(blocks, size, 2 * size + size / 2).size() == 2);
}

}  // namespace
}  // namespace narthex::tsdb
