#include "libs/tsdb/compact_postings.h"

#include <catch2/catch.hpp>
#include <random>
#include <set>

namespace narthex::tsdb {
namespace {

TEST_CASE("compact postings equal a plain set over insertions and removals") {
  std::mt19937 random(8);
  for (int round = 0; round < 50; ++round) {
    CompactPostings postings;
    std::set<SeriesId> expected;
    SeriesId last = 0;
    for (int i = 0; i < 400; ++i) {
      // Runs, small and large gaps, and some below the last one.
      const auto kind = random() % 20;
      SeriesId id = last + 1;
      if (kind == 0) id = last + 1 + static_cast<SeriesId>(random() % 100'000);
      if (kind == 1) id = last + 5;
      if (kind == 2 && last > 10)
        id = last - static_cast<SeriesId>(random() % 10);
      if (!expected.insert(id).second) continue;
      postings.Insert(id);
      last = *expected.rbegin();
    }
    REQUIRE(postings.Decode() == Postings(expected.begin(), expected.end()));
    Postings gone;
    for (const SeriesId id : expected) {
      if (random() % 3 == 0) gone.push_back(id);
    }
    gone.push_back(last + 100);
    postings.Remove(gone);
    for (const SeriesId id : gone) expected.erase(id);
    REQUIRE(postings.Decode() == Postings(expected.begin(), expected.end()));
    REQUIRE(postings.size() == expected.size());
    postings.Insert(last + 200);
    expected.insert(last + 200);
    REQUIRE(postings.Decode() == Postings(expected.begin(), expected.end()));
  }
}

TEST_CASE("the series of a target take a few bytes of postings") {
  CompactPostings postings;
  for (SeriesId id = 1'000'000; id < 1'100'000; ++id) postings.Insert(id);
  CHECK(postings.heap_bytes() == 0);
  postings.Insert(4'000'000'000);
  CHECK(postings.size() == 100'001);
  CHECK(postings.Decode().back() == 4'000'000'000);
}

}  // namespace
}  // namespace narthex::tsdb
