#include "libs/base/block_arena.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <random>

namespace narthex::base {
namespace {

TEST_CASE("blocks keep their bytes and freed ones are used again") {
  std::mt19937 random(4);
  BlockArena arena;
  std::map<BlockArena::Handle, char> held;
  for (int i = 0; i < 60'000; ++i) {
    if (held.size() > 5000 || (random() % 5 < 2 && !held.empty())) {
      auto it = held.lower_bound(static_cast<BlockArena::Handle>(random()));
      if (it == held.end()) it = held.begin();
      for (std::size_t b = 0; b < BlockArena::kBlockBytes; ++b) {
        REQUIRE(arena.At(it->first)[b] == it->second);
      }
      arena.Free(it->first);
      held.erase(it);
    } else {
      const BlockArena::Handle handle = arena.Allocate();
      REQUIRE(handle != BlockArena::kNone);
      REQUIRE(!held.contains(handle));
      held[handle] = static_cast<char>(random());
      std::memset(arena.At(handle), held[handle], BlockArena::kBlockBytes);
    }
    REQUIRE(arena.used_bytes() == held.size() * BlockArena::kBlockBytes);
    if (i % 10'000 == 0) arena.Trim();
  }
  CHECK(arena.allocated_bytes() < 400'000);
}

TEST_CASE("trimming gives back pages without a block in use") {
  BlockArena arena;
  std::vector<BlockArena::Handle> held;
  for (int i = 0; i < 10'000; ++i) held.push_back(arena.Allocate());
  const std::size_t full = arena.allocated_bytes();
  for (std::size_t i = 0; i < held.size(); ++i) {
    if (i > 2000) arena.Free(held[i]);
  }
  CHECK(arena.allocated_bytes() == full);
  arena.Trim();
  CHECK(arena.allocated_bytes() < full / 3);
  CHECK(arena.used_bytes() == 2001 * BlockArena::kBlockBytes);
  for (int i = 0; i < 7000; ++i) held.push_back(arena.Allocate());
  CHECK(arena.allocated_bytes() <= full);
}

}  // namespace
}  // namespace narthex::base
