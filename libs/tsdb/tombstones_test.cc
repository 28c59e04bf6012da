#include "libs/tsdb/tombstones.h"

#include <catch2/catch.hpp>
#include <random>

#include "libs/base/file.h"
#include "libs/model/sample.h"

namespace narthex::tsdb {
namespace {

bool Same(const Intervals& a, const Intervals& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) {
                      return x.min_ms == y.min_ms && x.max_ms == y.max_ms;
                    });
}

TEST_CASE("intervals that overlap or touch are joined") {
  std::mt19937 random(1);
  for (int round = 0; round < 500; ++round) {
    std::vector<bool> deleted(60, false);
    Intervals intervals;
    for (int i = 0; i < 8; ++i) {
      const std::int64_t from = random() % 50;
      const std::int64_t to = from + random() % 9;
      AddInterval({from, to}, &intervals);
      for (std::int64_t t = from; t <= to; ++t) deleted[t] = true;
    }
    Intervals expected;
    for (std::int64_t t = 0; t < 60; ++t) {
      if (!deleted[t]) continue;
      if (t > 0 && deleted[t - 1]) {
        expected.back().max_ms = t;
      } else {
        expected.push_back({t, t});
      }
    }
    REQUIRE(Same(intervals, expected));
    const std::int64_t from = random() % 50;
    const std::int64_t to = from + random() % 9;
    bool all = true;
    bool any = false;
    for (std::int64_t t = from; t <= to; ++t) {
      all = all && deleted[t];
      any = any || deleted[t];
    }
    REQUIRE(Covers(intervals, {from, to}) == all);
    REQUIRE(Overlaps(intervals, {from, to}) == any);
  }
}

TEST_CASE("intervals reach to the ends of time") {
  Intervals intervals;
  AddInterval({model::kMinTime, -1}, &intervals);
  AddInterval({1, model::kMaxTime}, &intervals);
  CHECK(intervals.size() == 2);
  AddInterval({0, 0}, &intervals);
  CHECK(Same(intervals, {{model::kMinTime, model::kMaxTime}}));
  AddInterval({5, 4}, &intervals);
  CHECK(intervals.size() == 1);
}

TEST_CASE("tombstones are read as written, none where there is no file") {
  const base::TemporaryDirectory directory;
  CHECK(ReadTombstones(directory.path())->empty());
  Tombstones tombstones;
  tombstones[7] = {{-5, 10}, {20, 30}};
  tombstones[1ULL << 40] = {{model::kMinTime, model::kMaxTime}};
  REQUIRE(WriteTombstones(directory.path(), tombstones).ok());
  const auto read = ReadTombstones(directory.path());
  REQUIRE(read.ok());
  CHECK(read->size() == 2);
  CHECK(Same(read->at(7), tombstones[7]));
  CHECK(Same(read->at(1ULL << 40), tombstones[1ULL << 40]));
  CHECK(CountIntervals(*read) == 3);
}

TEST_CASE("a damaged tombstones file is an error that names it") {
  const base::TemporaryDirectory directory;
  REQUIRE(
      WriteTombstones(directory.path(), {{3, {{1, 2}, {9, 1000000}}}}).ok());
  const std::string path = directory.path() + "/tombstones";
  const std::string whole = *base::ReadFile(path);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const bool cut : {true, false}) {
      std::string damaged = cut ? whole.substr(0, i) : whole;
      if (!cut) damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
      REQUIRE(base::WriteFileAtomically(path, damaged).ok());
      const auto read = ReadTombstones(directory.path());
      REQUIRE_FALSE(read.ok());
      CHECK_THAT(std::string(read.status().message()), Catch::Contains(path));
    }
  }
}

}  // namespace
}  // namespace narthex::tsdb
