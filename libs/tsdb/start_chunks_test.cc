#include "libs/tsdb/start_chunks.h"

#include <bit>
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

#include "libs/tsdb/histogram_chunk.h"
#include "libs/tsdb/histogram_fixture.h"
#include "libs/tsdb/stored_sample.h"
#include "libs/tsdb/xor2_chunk.h"
#include "libs/tsdb/xor_chunk.h"

namespace narthex::tsdb {
namespace {

constexpr storage::TimeRange kAll = {model::kMinTime, model::kMaxTime};

model::SampleColumns SomeFloats(unsigned seed, std::size_t count) {
  std::mt19937_64 random(seed);
  const auto below = [&random](std::uint64_t bound) {
    return static_cast<std::int64_t>(random() % bound);
  };
  model::SampleColumns samples;
  std::int64_t time = below(1'000'000) - 500'000;
  std::int64_t start = 0;
  for (std::size_t i = 0; i < count; ++i) {
    time += below(10) == 0 ? 1 + below(std::uint64_t{1} << below(40)) : 15'000;
    if (below(20) == 0) start = time - below(100'000);
    if (below(50) == 0) start = 0;
    double value = static_cast<double>(below(1000));
    if (below(10) == 0) value = model::StaleNan();
    if (below(10) == 0) value = std::bit_cast<double>(random());
    samples.timestamps_ms.push_back(time);
    samples.values.push_back(value);
    samples.starts_ms.push_back(seed % 3 == 0 ? 0 : start);
  }
  return samples;
}

StartRuns RunsOf(const model::SampleColumns& samples) {
  StartRuns runs;
  runs.Note(samples);
  return runs;
}

}  // namespace

TEST_CASE("floats with start times round trip through XOR2 chunks") {
  for (unsigned seed = 0; seed < 60; ++seed) {
    INFO(seed);
    const model::SampleColumns samples = SomeFloats(seed, 1 + seed * 7);
    std::string bytes;
    EncodeXor2Chunk(samples, &bytes);
    model::SampleColumns read;
    REQUIRE(DecodeXor2Chunk(bytes, kAll, &read).ok());
    CHECK(read.timestamps_ms == samples.timestamps_ms);
    read.starts_ms.resize(read.size());
    CHECK(read.starts_ms == samples.starts_ms);
    for (std::size_t i = 0; i < read.size(); ++i) {
      CHECK(std::bit_cast<std::uint64_t>(read.values[i]) ==
            std::bit_cast<std::uint64_t>(samples.values[i]));
    }
  }
}

TEST_CASE("start times come into chunks of floats and out of them again") {
  const model::SampleColumns samples = SomeFloats(1, 200);
  XorChunk encoded;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    encoded.Append(samples.timestamps_ms[i], samples.values[i]);
  }
  const storage::Chunk plain{encoded.min_ms(), encoded.max_ms(),
                             storage::Encoding::kXor, encoded.bytes(), nullptr};
  const auto starting = WithStartTimes(plain, RunsOf(samples));
  REQUIRE(starting.ok());
  CHECK(starting->encoding == storage::Encoding::kXor2);
  StartRuns noted;
  REQUIRE(NoteStartTimes(*starting, &noted).ok());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    CHECK(noted.At(samples.timestamps_ms[i]) == samples.starts_ms[i]);
  }
  const auto again = WithoutStartTimes(*starting);
  REQUIRE(again.ok());
  CHECK(again->bytes == plain.bytes);
  // Where none is known the chunk stays.
  CHECK(WithStartTimes(plain, StartRuns())->bytes.data() == plain.bytes.data());
}

TEST_CASE("start times come into chunks of histograms and out of them again") {
  for (const bool floats : {false, true}) {
    RandomHistograms random(5, /*gauge=*/false);
    std::vector<StoredSample> samples;
    for (int i = 0; i < 300; ++i) {
      StoredSample sample;
      sample.timestamp_ms = 1'000'000 + i * 15'000 + i % 3;
      sample.start_ms = i < 10 ? 0 : sample.timestamp_ms / 700'000 * 700'000;
      const model::IntHistogram next = random.Next();
      if (floats) {
        sample.histogram.floating =
            std::make_shared<model::FloatHistogram>(next.ToFloat());
      } else {
        sample.histogram.integer = std::make_shared<model::IntHistogram>(next);
      }
      samples.push_back(std::move(sample));
    }
    std::vector<storage::Chunk> chunks;
    EncodeStored(samples, 200, &chunks);
    std::vector<StoredSample> bare = samples;
    for (StoredSample& one : bare) one.start_ms = 0;
    std::vector<storage::Chunk> plain;
    EncodeStored(bare, 200, &plain);
    REQUIRE(chunks.size() == plain.size());
    std::vector<StoredSample> read;
    for (std::size_t i = 0; i < chunks.size(); ++i) {
      const auto stripped = WithoutStartTimes(chunks[i]);
      REQUIRE(stripped.ok());
      CHECK(stripped->encoding == plain[i].encoding);
      CHECK(stripped->bytes == plain[i].bytes);
      REQUIRE(DecodeStored(chunks[i], kAll, &read).ok());
    }
    REQUIRE(read.size() == samples.size());
    for (std::size_t i = 0; i < read.size(); ++i) {
      CHECK(read[i].timestamp_ms == samples[i].timestamp_ms);
      CHECK(read[i].start_ms == samples[i].start_ms);
    }
  }
}

TEST_CASE("start times of a series are known from sample to sample") {
  StartRuns runs;
  runs.Note(10, 0);
  CHECK(runs.empty());
  runs.Note(20, 5);
  runs.Note(30, 5);
  runs.Note(40, 35);
  runs.Note(50, 0);
  CHECK(runs.At(10) == 0);
  CHECK(runs.At(30) == 5);
  CHECK(runs.At(45) == 35);
  CHECK(runs.At(50) == 0);
  CHECK_FALSE(runs.AnyWithin(50, 90));
  CHECK(runs.AnyWithin(10, 20));
  model::SampleColumns samples;
  for (const std::int64_t time : {10, 20, 30, 40, 50}) samples.Append(time, 1);
  runs.Fill(0, &samples);
  CHECK(samples.starts_ms == std::vector<std::int64_t>{0, 5, 5, 35, 0});
  runs.Truncate(40);
  CHECK(runs.At(40) == 35);
  CHECK(runs.At(30) == 0);
  runs.Truncate(60);
  CHECK(runs.empty());
}

}  // namespace narthex::tsdb
