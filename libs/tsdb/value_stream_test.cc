#include "libs/tsdb/value_stream.h"

#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "libs/tsdb/bit_code.h"

namespace narthex::tsdb {
namespace {

using Values = std::vector<double>;
using Bits = std::vector<std::uint64_t>;

// Equal means: bit by bit.
Bits BitsOf(const Values& values) {
  Bits bits;
  for (const double value : values) {
    bits.push_back(std::bit_cast<std::uint64_t>(value));
  }
  return bits;
}

struct Stream {
  base::BlockArena arena;
  ValueStream stream;
  std::size_t count = 0;
  int bits = 0;

  void Append(double value) {
    if (count == 0) {
      stream = ValueStream(value);
    } else {
      bits += stream.Append(arena, count, value);
    }
    ++count;
  }
  Values Decode() const {
    Values values(count);
    stream.Decode(arena, count, values.data());
    return values;
  }
  std::size_t blocks() const {
    return arena.used_bytes() / base::BlockArena::kBlockBytes;
  }
};

int BitsInXorChunk(const Values& values) {
  int bits = 0;
  XorWindow window;
  for (std::size_t i = 1; i < values.size(); ++i) {
    bits += XorCode(std::bit_cast<std::uint64_t>(values[i]) ^
                        std::bit_cast<std::uint64_t>(values[i - 1]),
                    &window)
                .size();
  }
  return bits;
}

void CheckHolds(const Values& values) {
  Stream s;
  Values so_far;
  for (const double value : values) {
    s.Append(value);
    so_far.push_back(value);
    REQUIRE(std::bit_cast<std::uint64_t>(s.stream.last()) ==
            std::bit_cast<std::uint64_t>(value));
    REQUIRE(s.stream.stale() == model::IsStaleNan(value));
    REQUIRE(BitsOf(s.Decode()) == BitsOf(so_far));
  }
  REQUIRE(s.bits == BitsInXorChunk(values));
  s.stream.Clear(s.arena);
  REQUIRE(s.arena.used_bytes() == 0);
  REQUIRE(std::bit_cast<std::uint64_t>(s.stream.last()) ==
          std::bit_cast<std::uint64_t>(values.back()));
}

TEST_CASE("a stream of values gives them back bit by bit") {
  const double inf = std::numeric_limits<double>::infinity();
  const double nan = std::bit_cast<double>(0xfff8dead0000beefULL);
  const double big = 9007199254740993.0;  // 2^53 and more.
  const Values values = GENERATE_COPY(
      Values{0}, Values{-0.0}, Values{0, -0.0, 0}, Values{-0.0, 0, -0.0},
      Values{1, 1, 1, 2}, Values{1, 2, 4, 8, 16}, Values{0.1, 0.2, 0.3, 0.7},
      Values{1, 1.5, 1.25, 1.125, 1.0625, 7}, Values{1, 2, inf, -inf, 3},
      Values{nan, nan, 1, nan}, Values{1, 2, nan, 3}, Values{big, big + 2, 1},
      Values{1e300, -1e300, 5e-324}, Values{0, 3e9, -3e9, 0},
      Values{2147483647, -1, 0}, Values{0.123456789, 0.987654321, 1e9},
      Values{1, 0.1 + 0.2, 3}, Values{2251799813685247, 2251799813685248});
  CheckHolds(values);
}

TEST_CASE("a stream of values holds a staleness marker in every form") {
  const double stale = model::StaleNan();
  const Values values =
      GENERATE_COPY(Values{stale}, Values{stale, stale, 1}, Values{1, stale},
                    Values{1, 2, 3, stale}, Values{1, 2, 3, stale, 4, 5, stale},
                    Values{1, stale, stale}, Values{M_PI, M_E, stale, 1},
                    Values{stale, 1, 2, 3, stale});
  CheckHolds(values);
}

// Values of one of the kinds that series have, or of a mix of them.
Values RandomValues(std::mt19937_64& random) {
  const std::size_t count = 1 + random() % 240;
  auto kind = random() % 9;
  const bool mixed = random() % 3 == 0;
  const double power = std::pow(10, static_cast<double>(random() % 12));
  const auto step = std::uint64_t{1} << random() % 40;
  Values values;
  double value = static_cast<double>(random() % 1000) / power;
  while (values.size() < count) {
    values.push_back(value);
    if (mixed && random() % 20 == 0) kind = random() % 9;
    const auto number = static_cast<double>(random() % step);
    if (kind == 1) value += number;
    if (kind == 2) value = number / power;
    if (kind == 3) value = -number;
    if (kind == 4) value = std::bit_cast<double>(random());
    if (kind == 5 && random() % 10 == 0) value = model::StaleNan();
    if (kind == 6) value = -value;
    if (kind == 7) value = std::floor(value) + number / power;
    if (kind == 8 && random() % 30 == 0) value = number;
  }
  return values;
}

TEST_CASE("a stream of values holds mixes of all kinds") {
  std::mt19937_64 random(7);
  for (int round = 0; round < 500; ++round) CheckHolds(RandomValues(random));
}

TEST_CASE("values of regular series take few bits") {
  Stream constant;
  for (int i = 0; i < 120; ++i) constant.Append(0.1 + 0.2);
  CHECK(constant.blocks() == 0);
  Stream steady;
  for (int i = 0; i < 120; ++i) steady.Append(i * 0.25);
  CHECK(steady.blocks() == 1);
  // A counter whose rate varies by some percent takes about 6 bits a value.
  std::mt19937_64 random(1);
  Stream counter;
  double total = 0;
  for (int i = 0; i < 120; ++i) {
    counter.Append(total);
    total += 500 + static_cast<double>(random() % 16);
  }
  CHECK(counter.blocks() <= 4);
  // The same in thousandths.
  Stream seconds;
  total = 0;
  for (int i = 0; i < 120; ++i) {
    seconds.Append(std::round(total) / 1000);
    total += 500 + static_cast<double>(random() % 16);
  }
  CHECK(seconds.blocks() <= 4);
  CHECK(sizeof(ValueStream) == 20);
}

}  // namespace
}  // namespace narthex::tsdb
