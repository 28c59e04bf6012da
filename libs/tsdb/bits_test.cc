#include "libs/tsdb/bits.h"

#include <catch2/catch.hpp>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace narthex::tsdb {
namespace {

constexpr std::int64_t kEdges[] = {0,
                                   1,
                                   -1,
                                   3,
                                   4,
                                   5,
                                   -3,
                                   -4,
                                   32,
                                   33,
                                   -31,
                                   -32,
                                   256,
                                   257,
                                   -255,
                                   -256,
                                   2048,
                                   2049,
                                   -2047,
                                   -2048,
                                   131072,
                                   131073,
                                   -131071,
                                   -131072,
                                   16777216,
                                   16777217,
                                   -16777215,
                                   -16777216,
                                   1LL << 55,
                                   (1LL << 55) + 1,
                                   -(1LL << 55),
                                   std::numeric_limits<std::int64_t>::min(),
                                   std::numeric_limits<std::int64_t>::max()};

TEST_CASE("varbit numbers survive at the edges of their ranges") {
  for (int shift = 0; shift < 8; ++shift) {
    BitWriter out;
    if (shift > 0) out.Bits(1, shift);
    for (const std::int64_t edge : kEdges) {
      out.VarbitInt(edge);
      out.VarbitUint(static_cast<std::uint64_t>(edge));
    }
    BitCursor in(out.bytes());
    if (shift > 0) in.Bits(shift);
    for (const std::int64_t edge : kEdges) {
      INFO(edge << " after " << shift << " bits");
      CHECK(in.VarbitInt() == edge);
      CHECK(in.VarbitUint() == static_cast<std::uint64_t>(edge));
    }
    CHECK(in.ok());
    CHECK(in.remaining() < 8);
  }
}

TEST_CASE("varbit numbers take the bits that the format gives them") {
  const auto bits_of = [](std::int64_t value) {
    BitWriter out;
    out.VarbitInt(value);
    BitCursor in(out.bytes());
    in.VarbitInt();
    return in.position();
  };
  CHECK(bits_of(0) == 1);
  CHECK(bits_of(4) == 5);
  CHECK(bits_of(-4) == 9);
  CHECK(bits_of(-256) == 17);
  CHECK(bits_of(131072) == 24);
  CHECK(bits_of(16777216) == 32);
  CHECK(bits_of(1LL << 55) == 64);
  CHECK(bits_of((1LL << 55) + 1) == 72);
}

TEST_CASE("XORed floats survive and a writer goes on where one stopped") {
  std::mt19937_64 random(1);
  std::vector<double> values;
  for (int i = 0; i < 1000; ++i) {
    const bool any = random() % 3 == 0;
    values.push_back(any ? std::bit_cast<double>(random())
                         : static_cast<double>(random() % 7));
  }
  BitWriter whole;
  XorValue state;
  for (const double value : values) whole.Xor(value, &state);

  BitCursor in(whole.bytes());
  XorValue read;
  for (std::size_t i = 0; i < values.size(); ++i) {
    in.Xor(&read);
    REQUIRE(read.bits == std::bit_cast<std::uint64_t>(values[i]));
    if (i % 100 != 7) continue;
    BitWriter resumed(whole.bytes(), in.position());
    XorValue at = read;
    for (std::size_t k = i + 1; k < values.size(); ++k) {
      resumed.Xor(values[k], &at);
    }
    REQUIRE(resumed.bytes() == whole.bytes());
  }
  CHECK(in.ok());
}

TEST_CASE("reading past the end is noticed and gives zeros") {
  BitCursor in(absl::string_view("\xff", 1));
  CHECK(in.Bits(4) == 15);
  CHECK(in.Bits(64) == std::uint64_t{15} << 60);
  CHECK_FALSE(in.ok());
  CHECK(in.remaining() == 0);
  const std::string ones(20, '\xff');
  BitCursor endless(ones);
  endless.Uvarint();
  CHECK_FALSE(endless.ok());
}

}  // namespace
}  // namespace narthex::tsdb
