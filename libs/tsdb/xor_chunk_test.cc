#include "libs/tsdb/xor_chunk.h"

#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "libs/base/varint.h"
#include "libs/tsdb/chunk_series.h"

namespace narthex::tsdb {
namespace {

using model::SampleColumns;

XorChunk Encode(const SampleColumns& samples) {
  XorChunk chunk;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    chunk.Append(samples.timestamps_ms[i], samples.values[i]);
  }
  return chunk;
}

bool SameBits(const SampleColumns& a, const SampleColumns& b) {
  if (a.timestamps_ms != b.timestamps_ms || a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::bit_cast<std::uint64_t>(a.values[i]) !=
        std::bit_cast<std::uint64_t>(b.values[i])) {
      return false;
    }
  }
  return true;
}

/// Samples of one of several kinds, so that every branch of the format is met.
SampleColumns RandomSamples(std::mt19937_64& random) {
  SampleColumns samples;
  const std::size_t count = 1 + random() % 300;
  const auto kind = random() % 6;
  std::int64_t time = static_cast<std::int64_t>(random() >> 20);
  double value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    switch (kind) {
      case 0:
        value = 42;
        break;
      case 1:
        value += static_cast<double>(random() % 100);
        break;
      case 2:
        value = std::bit_cast<double>(random());
        break;
      case 3:
        value = std::sin(static_cast<double>(i));
        break;
      case 4:
        value = random() % 10 == 0 ? value + 1 : value;
        break;
      default:
        value = std::bit_cast<double>(random() << 60);
        break;
    }
    samples.Append(time, value);
    const auto jitter = random() % 4;
    time += 15000;
    if (jitter == 1) time += static_cast<std::int64_t>(random() % 100);
    if (jitter == 2 && kind == 3) {
      time += std::int64_t{1} << (random() % 40);
    }
  }
  return samples;
}

TEST_CASE("an XOR chunk gives back bit by bit what was appended") {
  std::mt19937_64 random(1);
  for (int round = 0; round < 500; ++round) {
    INFO("round " << round);
    const SampleColumns samples = RandomSamples(random);
    const XorChunk chunk = Encode(samples);
    CHECK(chunk.count() == static_cast<int>(samples.size()));
    CHECK(chunk.min_ms() == samples.timestamps_ms.front());
    CHECK(chunk.max_ms() == samples.timestamps_ms.back());
    SampleColumns decoded;
    REQUIRE(DecodeXorChunk(chunk.bytes(), &decoded).ok());
    REQUIRE(SameBits(samples, decoded));
  }
}

TEST_CASE("deltas at the edges of their ranges survive") {
  // A delta of deltas needs 14, 17, 20 or 64 bits; the ranges are uneven.
  for (const int bits : {14, 17, 20}) {
    for (const std::int64_t off : {-2, -1, 0, 1, 2}) {
      for (const std::int64_t sign : {-1, 1}) {
        const std::int64_t dod = sign * (std::int64_t{1} << (bits - 1)) + off;
        INFO("delta of deltas " << dod);
        SampleColumns samples;
        const std::int64_t delta = 5000000;
        samples.Append(-7, 1);
        samples.Append(-7 + delta, 1);
        samples.Append(-7 + 3 * delta + dod, 1);
        SampleColumns decoded;
        REQUIRE(DecodeXorChunk(Encode(samples).bytes(), &decoded).ok());
        CHECK(SameBits(samples, decoded));
      }
    }
  }
}

TEST_CASE("the extremes of time and value survive") {
  SampleColumns samples;
  samples.Append(model::kMinTime, -0.0);
  samples.Append(-1, std::numeric_limits<double>::infinity());
  samples.Append(0, model::StaleNan());
  samples.Append(model::kMaxTime - 1, model::NormalNan());
  samples.Append(model::kMaxTime, std::numeric_limits<double>::denorm_min());
  SampleColumns decoded;
  REQUIRE(DecodeXorChunk(Encode(samples).bytes(), &decoded).ok());
  CHECK(SameBits(samples, decoded));
}

TEST_CASE("a known chunk has the bytes that Prometheus writes") {
  // 1700006400000, 1700006460000, ... with values 1, 1, 2, 3, as in the
  // format's description, put together by hand.
  XorChunk chunk;
  chunk.Append(1000, 1);
  chunk.Append(2000, 1);
  chunk.Append(3000, 2);
  const std::string expected(
      "\x00\x03"                          // Three samples.
      "\xd0\x0f"                          // 1000, zigzag.
      "\x3f\xf0\x00\x00\x00\x00\x00\x00"  // 1.0
      "\xe8\x07"                          // Delta 1000.
      // 0 same value; 0 same delta; 11 new window, 00001 leading zeros,
      // 001011 (11) meaningful bits, 11111111111.
      "\x30\x97\xff\xc0",
      18);
  CHECK(std::string(chunk.bytes()) == expected);
}

TEST_CASE("a chunk that is resumed goes on as if never interrupted") {
  std::mt19937_64 random(2);
  for (int round = 0; round < 200; ++round) {
    const SampleColumns samples = RandomSamples(random);
    const XorChunk whole = Encode(samples);
    const std::size_t cut = random() % (samples.size() + 1);
    XorChunk first;
    for (std::size_t i = 0; i < cut; ++i) {
      first.Append(samples.timestamps_ms[i], samples.values[i]);
    }
    auto resumed = XorChunk::Resume(first.empty() ? absl::string_view("\0\0", 2)
                                                  : first.bytes());
    REQUIRE(resumed.ok());
    for (std::size_t i = cut; i < samples.size(); ++i) {
      resumed->Append(samples.timestamps_ms[i], samples.values[i]);
    }
    REQUIRE(resumed->bytes() == whole.bytes());
  }
}

TEST_CASE("decoding a range gives the samples inside it, bounds included") {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    const SampleColumns samples = RandomSamples(random);
    const XorChunk chunk = Encode(samples);
    const auto pick = [&] {
      return samples.timestamps_ms[random() % samples.size()] +
             static_cast<std::int64_t>(random() % 3) - 1;
    };
    const storage::TimeRange range{pick(), pick()};
    SampleColumns expected;
    expected.Append(-5, 5);  // Stays before what is decoded.
    SampleColumns decoded = expected;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const std::int64_t time = samples.timestamps_ms[i];
      if (time < range.min_ms || time > range.max_ms) continue;
      expected.Append(time, samples.values[i]);
    }
    REQUIRE(DecodeXorChunk(chunk.bytes(), range, &decoded).ok());
    REQUIRE(SameBits(expected, decoded));
  }
}

TEST_CASE("a chunk cut anywhere is an error and leaves the output alone") {
  std::mt19937_64 random(4);
  for (int round = 0; round < 50; ++round) {
    const SampleColumns samples = RandomSamples(random);
    const XorChunk chunk = Encode(samples);
    for (std::size_t size = 0; size < chunk.bytes().size(); ++size) {
      // A copy of the exact size, so that a read past the end is noticed.
      const std::vector<char> cut(chunk.bytes().begin(),
                                  chunk.bytes().begin() + size);
      SampleColumns decoded;
      decoded.Append(1, 1);
      const absl::Status status =
          DecodeXorChunk({cut.data(), cut.size()}, &decoded);
      REQUIRE(absl::IsDataLoss(status));
      REQUIRE(decoded.size() == 1);
    }
  }
}

TEST_CASE("a chunk with a flipped bit is decoded or refused, never more") {
  std::mt19937_64 random(5);
  for (int round = 0; round < 20; ++round) {
    const XorChunk chunk = Encode(RandomSamples(random));
    for (std::size_t bit = 0; bit < chunk.bytes().size() * 8; ++bit) {
      std::vector<char> bytes(chunk.bytes().begin(), chunk.bytes().end());
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
      const absl::string_view view(bytes.data(), bytes.size());
      SampleColumns decoded;
      const absl::Status status = DecodeXorChunk(view, &decoded);
      REQUIRE((status.ok() || absl::IsDataLoss(status)));
      REQUIRE(XorChunk::Resume(view).ok() == status.ok());
    }
  }
}

TEST_CASE("a chunk's buffer grows in steps and shrinks to what is needed") {
  XorChunk chunk;
  CHECK(chunk.allocated_bytes() == 0);
  for (int i = 0; i < 120; ++i) chunk.Append(i * 15000, i % 7);
  CHECK(chunk.allocated_bytes() < chunk.bytes().size() * 3 / 2);
  const std::string before(chunk.bytes());
  chunk.ShrinkToFit();
  CHECK(chunk.allocated_bytes() == before.size());
  chunk.Append(120 * 15000, 3);
  CHECK(chunk.count() == 121);
  CHECK(sizeof(XorChunk) <= 48);
}

TEST_CASE("times that go round past the latest of all are corrupt") {
  // Each sample repeats the one before, two to the 62nd ms later.
  std::string bytes("\0\x06\0", 3);
  base::PutBe64(0, &bytes);
  base::PutUvarint(std::uint64_t{1} << 62, &bytes);
  bytes.append(2, '\0');
  SampleColumns samples;
  CHECK(absl::IsDataLoss(DecodeXorChunk(bytes, &samples)));
  CHECK(samples.empty());
}

TEST_CASE("overlapping chunks are read as one ascending series") {
  std::vector<storage::Chunk> chunks;
  SampleColumns a;
  SampleColumns b;
  SampleColumns c;
  for (int i = 0; i < 10; ++i) a.Append(i * 10, 1);
  for (int i = 0; i < 10; ++i) b.Append(55 + i * 5, 2);
  for (int i = 0; i < 10; ++i) c.Append(58 + i * 10, 3);
  EncodeChunks(a, 120, &chunks);
  EncodeChunks(b, 120, &chunks);
  EncodeChunks(c, 120, &chunks);

  SampleColumns all;
  all.Append(-100, 0);
  REQUIRE(DecodeChunks(chunks, {0, 120}, &all).ok());

  std::map<std::int64_t, double> expected = {{-100, 0}};
  for (const SampleColumns* from : {&a, &b, &c}) {
    for (std::size_t i = 0; i < from->size(); ++i) {
      if (from->timestamps_ms[i] > 120) continue;
      expected.emplace(from->timestamps_ms[i], from->values[i]);
    }
  }
  REQUIRE(all.size() == expected.size());
  std::size_t i = 0;
  for (const auto& [time, value] : expected) {
    CHECK(all.timestamps_ms[i] == time);
    CHECK(all.values[i] == value);
    ++i;
  }
}

}  // namespace
}  // namespace narthex::tsdb
