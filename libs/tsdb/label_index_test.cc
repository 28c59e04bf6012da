#include "libs/tsdb/label_index.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"

namespace narthex::tsdb {
namespace {

model::Labels RandomLabels(std::mt19937& random) {
  model::LabelsBuilder builder;
  builder.Set("__name__", absl::StrCat("metric", random() % 5));
  for (const char* name : {"a", "ab", "b", "le"}) {
    if (random() % 3 != 0) builder.Set(name, absl::StrCat(random() % 12));
  }
  return builder.Build();
}

Postings ToPostings(absl::StatusOr<PostingsView> view) {
  REQUIRE(view.ok());
  Postings ids;
  view->AppendTo(&ids);
  return ids;
}

struct Item {
  SeriesId id;
};

// Compares all that the index says with a plain map.
void CheckAgainst(const std::map<SeriesId, model::Labels>& expected,
                  const LabelIndex& index) {
  REQUIRE(index.series_count() == expected.size());
  Postings all;
  std::map<std::pair<std::string, std::string>, Postings> pairs;
  std::vector<Item> items;
  for (const auto& [id, labels] : expected) {
    all.push_back(id);
    items.push_back({id});
    model::Labels back;
    REQUIRE(index.LabelsOf(id, &back));
    REQUIRE(back == labels);
    REQUIRE(index.Find(labels) == id);
    for (const auto& pair : labels.ToPairs()) pairs[pair].push_back(id);
  }
  REQUIRE(ToPostings(index.All()) == all);
  REQUIRE(index.pair_count() == pairs.size());
  for (const auto& [pair, ids] : pairs) {
    REQUIRE(ToPostings(index.Find(pair.first, pair.second)) == ids);
  }
  std::mt19937 random(1);
  std::shuffle(items.begin(), items.end(), random);
  items.push_back({4000000000});
  index.SortByLabels(&items);
  REQUIRE(items.size() == expected.size());
  const storage::LabelTable table = index.TableOf(all);
  REQUIRE(table.size() == expected.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    REQUIRE(table.LabelsOf(i) == expected.at(items[i].id));
  }
  for (std::size_t i = 1; i < items.size(); ++i) {
    REQUIRE(expected.at(items[i - 1].id) < expected.at(items[i].id));
  }
}

TEST_CASE("an index equals a plain map over additions and removals") {
  std::mt19937 random(5);
  LabelIndex index;
  std::map<SeriesId, model::Labels> expected;
  SeriesId last = 0;
  for (int round = 0; round < 30; ++round) {
    for (int i = 0; i < 60; ++i) {
      const model::Labels labels = RandomLabels(random);
      if (index.Find(labels).has_value()) continue;
      last += static_cast<SeriesId>(1 + random() % 50);
      index.Add(last, labels);
      expected[last] = labels;
    }
    CheckAgainst(expected, index);
    Postings gone;
    for (const auto& [id, labels] : expected) {
      if (random() % 3 == 0) gone.push_back(id);
    }
    index.Remove(gone);
    for (const SeriesId id : gone) {
      CHECK(!index.Find(expected[id]).has_value());
      CHECK(!index.Has(id));
      expected.erase(id);
    }
    CheckAgainst(expected, index);
  }
}

TEST_CASE("an id below the last one finds its place") {
  LabelIndex index;
  index.Add(10, {{"a", "1"}});
  index.Add(5, {{"a", "1"}, {"b", "1"}});
  CHECK(ToPostings(index.Find("a", "1")) == Postings{5, 10});
  CHECK(ToPostings(index.All()) == Postings{5, 10});
}

TEST_CASE("names and values are those of the series") {
  LabelIndex index;
  index.Add(1, {{"a", "1"}});
  index.Add(2, {{"a", "2"}, {"b", "22"}});
  const auto sorted = [](std::vector<std::string> names) {
    std::sort(names.begin(), names.end());
    return names;
  };
  using Names = std::vector<std::string>;
  CHECK(sorted(index.LabelNames()) == Names{"a", "b"});
  CHECK(sorted(index.LabelNames({1})) == Names{"a"});
  CHECK(sorted(index.LabelValues("a")) == Names{"1", "2"});
  CHECK(sorted(index.LabelValues("a", {2})) == Names{"2"});
  CHECK(index.LabelValues("c").empty());
  index.Remove({2});
  CHECK(sorted(index.LabelNames()) == Names{"a"});
}

TEST_CASE("pairs are visited in parts") {
  LabelIndex index;
  index.Add(1, {{"a", "1"}, {"b", "1"}});
  index.Add(2, {{"a", "2"}, {"b", "1"}});
  index.Add(3, {{"a", "3"}});
  index.Remove({2});
  for (const std::size_t part : {1, 2, 3, 4, 100}) {
    INFO(part);
    std::map<std::string, std::uint64_t> found;
    bool more = true;
    for (std::size_t from = 0; more; from += part) {
      more =
          index.ForEachPair(from, from + part,
                            [&](absl::string_view name, absl::string_view value,
                                std::uint64_t series) {
                              found[absl::StrCat(name, "=", value)] += series;
                            });
    }
    CHECK(found == std::map<std::string, std::uint64_t>{
                       {"a=1", 1}, {"a=3", 1}, {"b=1", 1}});
  }
  CHECK(LabelIndex::EncodedBytes("a", "1") == 4);
}

}  // namespace
}  // namespace narthex::tsdb
