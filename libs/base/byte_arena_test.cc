#include "libs/base/byte_arena.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <random>
#include <string>

namespace narthex::base {
namespace {

TEST_CASE("strings of an arena keep their bytes whatever is freed beside") {
  std::mt19937 random(3);
  ByteArena arena;
  std::map<ByteArena::Handle, std::string> held;
  for (int i = 0; i < 50'000; ++i) {
    if (held.size() > 2000 || (random() % 3 == 0 && !held.empty())) {
      auto it = held.lower_bound(static_cast<ByteArena::Handle>(random()));
      if (it == held.end()) it = held.begin();
      REQUIRE(it->second ==
              std::string(arena.At(it->first), it->second.size()));
      arena.Free(it->first, it->second.size());
      held.erase(it);
      continue;
    }
    const std::size_t size =
        random() % 50 == 0 ? 1 + random() % 100'000 : 1 + random() % 60;
    const ByteArena::Handle handle = arena.Allocate(size);
    REQUIRE(handle != ByteArena::kNone);
    REQUIRE(!held.contains(handle));
    const std::string text(size, static_cast<char>(random()));
    std::memcpy(arena.At(handle), text.data(), size);
    held[handle] = text;
  }
  for (const auto& [handle, text] : held) {
    REQUIRE(text == std::string(arena.At(handle), text.size()));
  }
}

TEST_CASE("what an arena frees is used again") {
  ByteArena arena;
  for (int round = 0; round < 100; ++round) {
    std::vector<ByteArena::Handle> held;
    for (std::size_t i = 0; i < 10'000; ++i) {
      held.push_back(arena.Allocate(5 + i % 20));
    }
    for (std::size_t i = 0; i < held.size(); ++i) {
      arena.Free(held[i], 5 + i % 20);
    }
  }
  CHECK(arena.allocated_bytes() < 400'000);
}

}  // namespace
}  // namespace narthex::base
