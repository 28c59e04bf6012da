#include "libs/tsdb/open_chunk.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "libs/model/sample.h"
#include "libs/tsdb/xor_chunk.h"

namespace narthex::tsdb {
namespace {

struct Sample {
  std::int64_t timestamp_ms;
  double value;
};

// Samples of all kinds that real series have.
std::vector<Sample> RandomSamples(std::mt19937_64& random) {
  std::vector<Sample> samples;
  std::int64_t time = static_cast<std::int64_t>(random() % 4'000'000'000'000) -
                      2'000'000'000'000;
  double value = 0;
  const auto kind = random() % 5;
  const auto jitter =
      std::vector<std::uint64_t>{1, 5, 70'000, 3'000'000'000}[random() % 4];
  const std::size_t count = 1 + random() % 120;
  while (samples.size() < count) {
    samples.push_back({time, value});
    time += 1 + static_cast<std::int64_t>(random() % jitter);
    if (kind == 0) value += static_cast<double>(random() % 100);
    if (kind == 1) value = static_cast<double>(random()) / 3e17;
    if (kind == 2) value = std::bit_cast<double>(random());
    if (kind == 3 && random() % 10 == 0) value = model::StaleNan();
    if (kind == 4 && random() % 3 == 0) value = -value + 0.5;
  }
  return samples;
}

constexpr ChunkRules kRules{std::int64_t{1} << 31, 1000};

// False when the chunk ends before.
bool Add(SampleArena& arena, const Sample& sample, OpenChunk* chunk) {
  if (!chunk->empty()) {
    return chunk->Append(arena, sample.timestamp_ms, sample.value, kRules);
  }
  chunk->Begin(arena, sample.timestamp_ms, sample.value, kRules);
  return true;
}

TEST_CASE("an open chunk becomes what an XOR chunk is after every append") {
  std::mt19937_64 random(11);
  SampleArena arena;
  for (int round = 0; round < 400; ++round) {
    XorChunk expected;
    OpenChunk chunk;
    for (const Sample& sample : RandomSamples(random)) {
      if (chunk.at_most_bytes() || !Add(arena, sample, &chunk)) break;
      expected.Append(sample.timestamp_ms, sample.value);
      std::string bytes;
      chunk.Encode(arena, &bytes);
      REQUIRE(bytes == std::string(expected.bytes()));
      REQUIRE(chunk.size() == bytes.size());
      REQUIRE(chunk.size() <= OpenChunk::kMostBytes);
      REQUIRE(chunk.count() == expected.count());
      REQUIRE(chunk.min_ms(arena) == expected.min_ms());
      REQUIRE(chunk.max_ms(arena) == sample.timestamp_ms);
      REQUIRE(std::bit_cast<std::uint64_t>(chunk.last_value()) ==
              std::bit_cast<std::uint64_t>(sample.value));
    }
    const double last = chunk.last_value();
    chunk.Mark(1, true);
    chunk.Clear(arena);
    REQUIRE(chunk.empty());
    REQUIRE(chunk.marked(1));
    REQUIRE(!chunk.marked(2));
    REQUIRE(std::bit_cast<std::uint64_t>(chunk.last_value()) ==
            std::bit_cast<std::uint64_t>(last));
    REQUIRE(arena.used_bytes() == 0);
  }
}

TEST_CASE("an open chunk is 28 bytes") { CHECK(sizeof(OpenChunk) == 28); }

}  // namespace
}  // namespace narthex::tsdb
