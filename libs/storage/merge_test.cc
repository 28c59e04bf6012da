#include "libs/storage/merge.h"

#include <catch2/catch.hpp>

namespace narthex::storage {
namespace {

class ListSet : public ChunkSeriesSet {
 public:
  explicit ListSet(std::vector<ChunkSeries> list,
                   absl::Status status = absl::OkStatus())
      : list_(std::move(list)), status_(std::move(status)) {}
  bool Next(ChunkSeries* series) override {
    if (next_ == list_.size()) return false;
    *series = list_[next_++];
    return true;
  }
  absl::Status status() const override { return status_; }

 private:
  std::vector<ChunkSeries> list_;
  absl::Status status_;
  std::size_t next_ = 0;
};

ChunkSeries One(const char* name, std::int64_t min_ms, const char* bytes) {
  return {model::Labels{{"__name__", name}},
          {Chunk{min_ms, min_ms + 1, Encoding::kXor, bytes, nullptr}}};
}

std::vector<std::unique_ptr<ChunkSeriesSet>> Sets(
    std::vector<std::vector<ChunkSeries>> lists) {
  std::vector<std::unique_ptr<ChunkSeriesSet>> sets;
  for (auto& list : lists) {
    sets.push_back(std::make_unique<ListSet>(std::move(list)));
  }
  return sets;
}

}  // namespace

TEST_CASE("sets merge by labels and chunks by time, replicas once") {
  const auto merged =
      MergeChunkSeries(Sets({{One("a", 10, "x"), One("c", 1, "z")},
                             {},
                             {One("a", 5, "y"), One("b", 1, "b")},
                             {One("a", 10, "x")}}));
  ChunkSeries series;
  REQUIRE(merged->Next(&series));
  CHECK(series.labels.metric_name() == "a");
  REQUIRE(series.chunks.size() == 2);
  CHECK(series.chunks[0].bytes == "y");
  CHECK(series.chunks[1].bytes == "x");
  REQUIRE(merged->Next(&series));
  CHECK(series.labels.metric_name() == "b");
  CHECK(series.chunks.size() == 1);
  REQUIRE(merged->Next(&series));
  CHECK(series.labels.metric_name() == "c");
  CHECK_FALSE(merged->Next(&series));
  CHECK(merged->status().ok());
}

TEST_CASE("the failure of one set fails the merged set") {
  std::vector<std::unique_ptr<ChunkSeriesSet>> sets;
  sets.push_back(std::make_unique<ListSet>(
      std::vector{One("a", 1, "a"), One("b", 1, "b")}));
  sets.push_back(std::make_unique<ListSet>(std::vector{One("a", 1, "a")},
                                           absl::UnavailableError("gone")));
  const auto merged = MergeChunkSeries(std::move(sets));
  ChunkSeries series;
  while (merged->Next(&series)) {
  }
  CHECK(absl::IsUnavailable(merged->status()));
}

TEST_CASE("columns merge in time order and the first keeps its samples") {
  model::SampleColumns into{{1, 3, 5}, {1, 3, 5}};
  MergeColumns({{0, 3, 4, 6}, {0, 33, 4, 6}}, &into);
  CHECK(into.timestamps_ms == std::vector<std::int64_t>{0, 1, 3, 4, 5, 6});
  CHECK(into.values == std::vector<double>{0, 1, 3, 4, 5, 6});
  MergeColumns({{7}, {7}}, &into);
  CHECK(into.size() == 7);
}

TEST_CASE("histograms and start times merge with their samples") {
  const auto histogram = std::make_shared<const model::FloatHistogram>();
  model::SampleColumns into{{1, 3}, {1, 3}};
  model::SampleColumns from{{2, 3}, {2, 33}};
  from.Append(5, histogram);
  from.starts_ms = {10, 20, 30};
  MergeColumns(from, &into);
  CHECK(into.timestamps_ms == std::vector<std::int64_t>{1, 2, 3, 5});
  CHECK(into.values == std::vector<double>{1, 2, 3, 0});
  CHECK(into.histograms ==
        std::vector<std::shared_ptr<const model::FloatHistogram>>{
            nullptr, nullptr, nullptr, histogram});
  CHECK(into.starts_ms == std::vector<std::int64_t>{0, 10, 0, 30});
  into.Truncate(2);
  CHECK(into.histograms.size() == 2);
}

TEST_CASE("names merge sorted, once and up to the limit") {
  CHECK(MergeNames({{"a", "c"}, {"b", "c"}}, 0) ==
        std::vector<std::string>{"a", "b", "c"});
  CHECK(MergeNames({{"a", "c"}, {"b"}}, 2) ==
        std::vector<std::string>{"a", "b"});
}

}  // namespace narthex::storage
