#include "libs/tsdb/hashed_ids.h"

#include <catch2/catch.hpp>
#include <map>
#include <random>

namespace narthex::tsdb {
namespace {

TEST_CASE("ids are found by hash while they are there, shared hashes too") {
  std::mt19937_64 random(21);
  HashedIds ids;
  std::map<SeriesId, std::uint64_t> expected;
  SeriesId last = 0;
  const auto hash_of = [&] {
    // Many are equal, many fall near the end of the slots.
    const std::uint64_t hash = random();
    return random() % 2 == 0 ? hash % 50 << 32 | 7 : ~(hash >> 20);
  };
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 300; ++i) {
      const std::uint64_t hash = hash_of();
      ids.Insert(hash, ++last);
      expected[last] = hash;
    }
    std::erase_if(expected, [&](const auto& entry) {
      if (random() % 10 < (round % 4 == 3 ? 9U : 3U)) {
        ids.Erase(entry.second, entry.first);
        return true;
      }
      return false;
    });
    REQUIRE(ids.size() == expected.size());
    for (const auto& [id, hash] : expected) {
      const SeriesId wanted = id;
      REQUIRE(ids.Find(hash, [&](SeriesId found) { return found == wanted; }) ==
              id);
    }
    REQUIRE(!ids.Find(12345, [](SeriesId) { return false; }).has_value());
  }
  for (const auto& [id, hash] : expected) ids.Erase(hash, id);
  CHECK(ids.size() == 0);
  CHECK(ids.memory_bytes() < 1000);
}

}  // namespace
}  // namespace narthex::tsdb
