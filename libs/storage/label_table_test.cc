#include "libs/storage/label_table.h"

#include <catch2/catch.hpp>
#include <random>

namespace narthex::storage {
namespace {

using model::Labels;

LabelTable TableOf(std::vector<Labels> sets) {
  std::sort(sets.begin(), sets.end());
  sets.erase(std::unique(sets.begin(), sets.end()), sets.end());
  LabelTableBuilder builder;
  for (const Labels& labels : sets) builder.Add(labels);
  return std::move(builder).Build();
}

std::vector<Labels> SetsOf(const LabelTable& table) {
  std::vector<Labels> sets;
  for (std::size_t i = 0; i < table.size(); ++i) {
    sets.push_back(table.LabelsOf(i));
  }
  return sets;
}

TEST_CASE("a table holds each pair once and gives the label sets back") {
  const std::vector<Labels> sets = {
      {}, {{"a", "1"}}, {{"a", "1"}, {"b", "1"}}, {{"a", "2"}, {"b", "1"}}};
  const LabelTable table = TableOf(sets);
  CHECK(table.pair_count() == 3);
  CHECK(SetsOf(table) == sets);
  CHECK(table.SharedWithPrevious(0) == 0);
  CHECK(table.SharedWithPrevious(2) == 1);
  CHECK(table.SharedWithPrevious(3) == 0);
}

TEST_CASE("tables of different numbers are merged in order, each set once") {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<LabelTable> tables;
    std::vector<Labels> all;
    for (int t = 0; t < 3; ++t) {
      std::vector<Labels> sets;
      for (int i = 0; i < 20; ++i) {
        std::vector<std::pair<std::string, std::string>> pairs;
        for (const char* name : {"a", "b", "c"}) {
          const int value = static_cast<int>(random() % 4);
          if (value != 0) pairs.emplace_back(name, std::to_string(value));
        }
        sets.emplace_back(pairs);
      }
      all.insert(all.end(), sets.begin(), sets.end());
      tables.push_back(TableOf(std::move(sets)));
    }
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    CHECK(SetsOf(MergeLabelTables(tables, 0)) == all);
    all.resize(5);
    CHECK(SetsOf(MergeLabelTables(tables, 5)) == all);
  }
}

TEST_CASE("a limit cuts a single table, and no table is an empty one") {
  std::vector<LabelTable> one;
  one.push_back(TableOf({{{"a", "1"}}, {{"a", "2"}}, {{"a", "3"}}}));
  CHECK(SetsOf(MergeLabelTables(std::move(one), 2)) ==
        std::vector<Labels>{{{"a", "1"}}, {{"a", "2"}}});
  CHECK(MergeLabelTables({}, 0).size() == 0);
}

}  // namespace
}  // namespace narthex::storage
