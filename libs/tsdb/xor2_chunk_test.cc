#include "libs/tsdb/xor2_chunk.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "libs/tsdb/bits.h"
#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/xor_chunk.h"

namespace narthex::tsdb {
namespace {

constexpr storage::TimeRange kAll = {model::kMinTime, model::kMaxTime};

/// A chunk put together field by field, as the format is described.
class Fields {
 public:
  Fields(std::uint64_t count, std::uint64_t start_header) {
    out_.Bits(count, 16);
    out_.Bits(start_header, 8);
  }
  Fields& Bits(std::uint64_t bits, int n) {
    out_.Bits(bits, n);
    return *this;
  }
  Fields& Varbit(std::int64_t value) {
    out_.VarbitInt(value);
    return *this;
  }
  Fields& Float(double value) {
    out_.Float(value);
    return *this;
  }
  absl::string_view bytes() const { return out_.bytes(); }

 private:
  BitWriter out_;
};

/// 1000: 1, 2000: 1, 3000: 1 (nothing changes), 4000: 2 (new window),
/// 5000: stale, 6000: 2.5 (same delta, window kept), 7001: 2.5 (13-bit dod),
/// 8000: stale (13-bit), 79000: 2.5 (20-bit dod), 3000000: 3 (64-bit).
Fields Example(std::uint64_t start_header) {
  Fields fields(10, start_header);
  fields.Bits(0xd00f, 16).Float(1.0);
  return fields;
}

Fields& Tail(Fields& fields) {
  fields.Bits(0xe807, 16).Bits(0, 1);
  fields.Bits(0, 1);
  fields.Bits(0b10, 2).Bits(1, 1).Bits(1, 5).Bits(11, 6).Bits(0x7ff, 11);
  fields.Bits(0b11111, 5);
  // 2.0 ^ 2.5 is bit 50: outside of the window 1..11 from the top.
  fields.Bits(0b10, 2).Bits(1, 1).Bits(13, 5).Bits(1, 6).Bits(1, 1);
  fields.Bits(0b110, 3).Bits(1, 13).Bits(0, 1);
  fields.Bits(0b110, 3).Bits(0x1fff & -2, 13).Bits(0b111, 3);
  fields.Bits(0b1110, 4).Bits(70001, 20).Bits(0, 1);
  fields.Bits(0b11110, 5).Bits(2921000 - 71000, 64);
  // 2.5 ^ 3.0 are bits 50 and 51.
  return fields.Bits(0b110, 3).Bits(12, 5).Bits(2, 6).Bits(3, 2);
}

TEST_CASE("an XOR2 chunk is read") {
  Fields fields = Example(0);
  const absl::string_view bytes = Tail(fields).bytes();
  model::SampleColumns samples;
  samples.Append(1, 9);
  const auto status = DecodeXor2Chunk(bytes, kAll, &samples);
  INFO(status);
  REQUIRE(status.ok());
  CHECK(samples.timestamps_ms ==
        std::vector<std::int64_t>{1, 1000, 2000, 3000, 4000, 5000, 6000, 7001,
                                  8000, 79000, 3000000});
  std::vector<double> values = samples.values;
  CHECK(model::IsStaleNan(values[5]));
  CHECK(model::IsStaleNan(values[8]));
  values[5] = values[8] = 0;
  CHECK(values == std::vector<double>{9, 1, 1, 1, 2, 0, 2.5, 2.5, 0, 2.5, 3});
  CHECK(samples.starts_ms.empty());

  model::SampleColumns written;
  written.AppendRange(samples, 1, samples.size());
  std::string encoded;
  EncodeXor2Chunk(written, &encoded);
  CHECK(encoded == bytes);

  model::SampleColumns part;
  REQUIRE(DecodeXor2Chunk(bytes, {4000, 6500}, &part).ok());
  CHECK(part.timestamps_ms == std::vector<std::int64_t>{4000, 5000, 6000});
}

TEST_CASE("an XOR2 chunk cut anywhere or with flipped bits is survived") {
  Fields fields = Example(0);
  const std::string whole(Tail(fields).bytes());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::vector<char> cut(whole.begin(), whole.begin() + size);
    model::SampleColumns samples;
    CHECK(absl::IsDataLoss(
        DecodeXor2Chunk({cut.data(), cut.size()}, kAll, &samples)));
    CHECK(samples.empty());
  }
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string bytes = whole;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    model::SampleColumns samples;
    const auto status = DecodeXor2Chunk(bytes, kAll, &samples);
    REQUIRE((status.ok() || absl::IsDataLoss(status)));
  }
}

TEST_CASE("start times are read from the sample on that the header names") {
  SECTION("of the first sample only") {
    Fields fields(3, 0x80);
    fields.Bits(0xd00f, 16).Float(1).Bits(0xc801, 16);  // 1000 - 900 = 100.
    fields.Bits(0xe807, 16).Bits(0, 1);
    fields.Bits(0, 1);
    model::SampleColumns samples;
    REQUIRE(DecodeXor2Chunk(fields.bytes(), kAll, &samples).ok());
    CHECK(samples.starts_ms == std::vector<std::int64_t>{900, 900, 900});
    std::string encoded;
    EncodeXor2Chunk(samples, &encoded);
    CHECK(encoded == fields.bytes());
  }
  SECTION("from the third on") {
    Fields fields(4, 2);
    fields.Bits(0xd00f, 16).Float(1);
    fields.Bits(0xe807, 16).Bits(0, 1);
    fields.Bits(0, 1).Varbit(-100);  // 2000 - 2100.
    fields.Bits(0, 1).Varbit(1000);  // The distance is 900: 3000 - 900.
    model::SampleColumns samples;
    samples.Append(5, 5);
    REQUIRE(DecodeXor2Chunk(fields.bytes(), kAll, &samples).ok());
    CHECK(samples.starts_ms == std::vector<std::int64_t>{0, 0, 0, 2100, 2100});
    model::SampleColumns written;
    written.AppendRange(samples, 1, samples.size());
    std::string encoded;
    EncodeXor2Chunk(written, &encoded);
    CHECK(encoded == fields.bytes());

    // Chunks without start times that follow keep the columns even.
    XorChunk plain;
    plain.Append(9000, 1);
    storage::Chunk chunk;
    chunk.encoding = storage::Encoding::kXor;
    chunk.bytes = plain.bytes();
    REQUIRE(DecodeChunk(chunk, kAll, &samples).ok());
    CHECK(samples.starts_ms.size() == samples.size());
  }
}

}  // namespace
}  // namespace narthex::tsdb
