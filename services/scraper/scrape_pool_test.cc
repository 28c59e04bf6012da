#include "services/scraper/scrape_pool.h"

#include <catch2/catch.hpp>

namespace narthex::scraper {

TEST_CASE("shards are written i/n") {
  CHECK(ParseShard("1/3")->index == 1);
  CHECK(ParseShard("1/3")->count == 3);
  for (const char* bad : {"", "1", "3/3", "-1/2", "a/b", "0/0"}) {
    INFO(bad);
    CHECK_FALSE(ParseShard(bad).ok());
  }
}

TEST_CASE("every target belongs to one shard, and growth moves few") {
  int moved = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const std::uint64_t hash = i * 0x9e3779b97f4a7c15ULL;
    int owners = 0;
    for (std::uint64_t s = 0; s < 3; ++s) {
      const bool owns = Shard{s, 3}.Owns(hash);
      owners += owns ? 1 : 0;
      if (owns && !Shard{s, 4}.Owns(hash)) ++moved;
    }
    CHECK(owners == 1);
  }
  CHECK(moved < 330);
}

}  // namespace narthex::scraper
