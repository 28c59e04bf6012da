#include "libs/tsdb/histogram_chunk.h"

#include <catch2/catch.hpp>
#include <string>

#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/histogram_fixture.h"
#include "libs/tsdb/histogram_layout.h"

namespace narthex::tsdb {
namespace {

using model::CounterReset;
using model::FloatHistogram;
using model::IntHistogram;
using storage::Encoding;

constexpr storage::TimeRange kAll = {model::kMinTime, model::kMaxTime};

template <typename Chunk>
constexpr Encoding EncodingOf() {
  return std::is_same_v<Chunk, HistogramChunk> ? Encoding::kHistogram
                                               : Encoding::kFloatHistogram;
}

/// What a kind of chunk takes for an integer histogram.
template <typename Chunk>
typename Chunk::Histogram As(const IntHistogram& histogram) {
  if constexpr (std::is_same_v<Chunk, HistogramChunk>) {
    return histogram;
  } else {
    return histogram.ToFloat();
  }
}

std::vector<StoredSample> Decode(Encoding encoding, absl::string_view bytes) {
  std::vector<StoredSample> samples;
  const auto status = DecodeHistogramChunk(encoding, bytes, kAll, &samples);
  INFO(status);
  REQUIRE(status.ok());
  return samples;
}

CounterReset ResetOf(const StoredSample& sample) {
  return sample.histogram.integer != nullptr
             ? sample.histogram.integer->counter_reset
             : sample.histogram.floating->counter_reset;
}

/// Appends to the last chunk, or after it.
template <typename Chunk>
void AppendTo(std::vector<Chunk>* chunks, std::int64_t time,
              const IntHistogram& histogram) {
  const auto sample = As<Chunk>(histogram);
  if (chunks->empty()) {
    chunks->emplace_back(time, sample);
    return;
  }
  auto next = chunks->back().Append(time, sample);
  if (next.has_value()) chunks->push_back(*std::move(next));
}

TEMPLATE_TEST_CASE("histogram chunks give back what was appended", "",
                   HistogramChunk, FloatHistogramChunk) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    INFO("seed " << seed);
    RandomHistograms source(seed, /*gauge=*/seed % 2 == 1);
    std::vector<TestType> chunks;
    std::map<std::int64_t, HistogramFacts> expected;
    std::int64_t time = 1000;
    for (int i = 0; i < 200; ++i) {
      const IntHistogram histogram = source.Next();
      AppendTo(&chunks, time, histogram);
      expected[time] = FactsOf(histogram);
      time += 15000 + static_cast<std::int64_t>(seed) * (i % 3);
    }
    std::map<std::int64_t, HistogramFacts> found;
    model::SampleColumns columns;
    for (const TestType& chunk : chunks) {
      const auto samples = Decode(EncodingOf<TestType>(), chunk.bytes());
      REQUIRE(samples.size() == static_cast<std::size_t>(chunk.count()));
      CHECK(samples.front().timestamp_ms == chunk.min_ms());
      CHECK(samples.back().timestamp_ms == chunk.max_ms());
      CHECK(FactsOf(samples.back()) == FactsOf(chunk.last()));
      for (const auto& sample : samples) {
        found[sample.timestamp_ms] = FactsOf(sample);
      }
      REQUIRE(DecodeHistogramChunk(EncodingOf<TestType>(), chunk.bytes(), kAll,
                                   &columns)
                  .ok());
    }
    CHECK(found == expected);
    CHECK(FactsOf(columns) == expected);
    CHECK(chunks.size() > 3);
    CHECK(chunks.size() < 60);
  }
}

TEMPLATE_TEST_CASE("a histogram chunk that is resumed goes on as before", "",
                   HistogramChunk, FloatHistogramChunk) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    RandomHistograms source(seed, seed % 2 == 1);
    std::vector<TestType> whole;
    std::vector<TestType> interrupted;
    for (int i = 0; i < 100; ++i) {
      const IntHistogram histogram = source.Next();
      AppendTo(&whole, i * 1000, histogram);
      AppendTo(&interrupted, i * 1000, histogram);
      auto resumed = TestType::Resume(interrupted.back().bytes());
      REQUIRE(resumed.ok());
      CHECK(resumed->min_ms() == whole.back().min_ms());
      CHECK(resumed->counter_reset() == whole.back().counter_reset());
      interrupted.back() = *std::move(resumed);
      REQUIRE(interrupted.back().bytes() == whole.back().bytes());
    }
  }
}

TEMPLATE_TEST_CASE("a sample that cannot follow begins a chunk and says why",
                   "", HistogramChunk, FloatHistogramChunk) {
  const IntHistogram start = MakeHistogram({{0, 5}, {3, 2}}, {{1, 1}}, 2);
  IntHistogram next;
  CounterReset expected = CounterReset::kReset;
  SECTION("the count fell") { next = MakeHistogram({{0, 5}, {3, 1}}); }
  SECTION("a bucket fell") {
    next = MakeHistogram({{0, 4}, {3, 9}}, {{1, 1}}, 2);
  }
  SECTION("a bucket that was not empty is gone") {
    next = MakeHistogram({{0, 50}}, {{1, 1}}, 2);
  }
  SECTION("the zero bucket fell") {
    next = MakeHistogram({{0, 50}, {3, 2}}, {{1, 1}}, 1);
  }
  SECTION("a reset was announced") {
    next = MakeHistogram({{0, 6}, {3, 2}}, {{1, 1}}, 2);
    next.counter_reset = CounterReset::kReset;
  }
  SECTION("another schema") {
    next = MakeHistogram({{0, 6}, {3, 2}}, {{1, 1}}, 2);
    next.schema = 1;
    expected = CounterReset::kUnknown;
  }
  SECTION("another zero threshold") {
    next = MakeHistogram({{0, 6}, {3, 2}}, {{1, 1}}, 2);
    next.zero_threshold = 0.5;
    expected = CounterReset::kUnknown;
  }
  SECTION("a gauge") {
    next = MakeHistogram({{0, 6}, {3, 2}}, {{1, 1}}, 2);
    next.counter_reset = CounterReset::kGauge;
    expected = CounterReset::kGauge;
  }
  TestType chunk(1, As<TestType>(start));
  CHECK(chunk.counter_reset() == CounterReset::kUnknown);
  const std::string before(chunk.bytes());
  const auto cut = chunk.Append(2, As<TestType>(next));
  REQUIRE(cut.has_value());
  CHECK(chunk.bytes() == before);
  CHECK(cut->counter_reset() == expected);
  CHECK(cut->count() == 1);
  const TestType after(2, As<TestType>(next), &chunk);
  CHECK(after.counter_reset() == expected);
  CHECK(after.bytes() == cut->bytes());
}

TEST_CASE("other custom bounds begin a chunk") {
  IntHistogram histogram;
  histogram.schema = model::kCustomBoundsSchema;
  histogram.custom_bounds = {0.005, 0.1, 1.0 / 3, 33554.43, 33554.431, -2, 1e9};
  histogram.positive_spans = {{0, 3}};
  histogram.positive_deltas = {1, 1, -2};
  histogram.count = 3;
  HistogramChunk chunk(1, histogram);
  CHECK_FALSE(chunk.Append(2, histogram).has_value());
  CHECK(Decode(Encoding::kHistogram, chunk.bytes())[1]
            .histogram.integer->custom_bounds == histogram.custom_bounds);
  histogram.custom_bounds.pop_back();
  const auto cut = chunk.Append(3, histogram);
  REQUIRE(cut.has_value());
  CHECK(cut->counter_reset() == CounterReset::kReset);
}

TEMPLATE_TEST_CASE("histograms of reserved schemas are read less fine", "",
                   HistogramChunk, FloatHistogramChunk) {
  // Four buckets become one: -3 to 0 bucket 0, 1 to 4 bucket 1 ...
  IntHistogram fine =
      MakeHistogram({{-7, 1}, {-3, 2}, {-2, 3}, {1, 4}, {2, 5}}, {{5, 6}}, 1);
  fine.schema = 10;
  const TestType chunk(1, As<TestType>(fine));
  const auto samples = Decode(EncodingOf<TestType>(), chunk.bytes());
  const HistogramFacts facts = FactsOf(samples[0]);
  CHECK(facts.schema == 8);
  CHECK(facts.positive ==
        std::map<std::int64_t, double>{{-1, 1}, {0, 5}, {1, 9}});
  CHECK(facts.negative == std::map<std::int64_t, double>{{2, 6}});
  CHECK(facts.count == 22);
}

TEMPLATE_TEST_CASE("buckets that a chunk names twice are read as one", "",
                   HistogramChunk, FloatHistogramChunk) {
  IntHistogram twice = MakeHistogram({{-2, 1}, {3, 2}, {4, 5}}, {{0, 1}});
  // Back from 5 to 3: the last bucket is 3 again.
  twice.positive_spans = {{-2, 1}, {4, 1}, {-1, 1}};
  const TestType chunk(1, As<TestType>(twice));
  const auto samples = Decode(EncodingOf<TestType>(), chunk.bytes());
  const HistogramFacts facts = FactsOf(samples[0]);
  CHECK(facts.positive == std::map<std::int64_t, double>{{-2, 1}, {3, 7}});
  CHECK(facts.negative == std::map<std::int64_t, double>{{0, 1}});
  CHECK_FALSE(TestType::Resume(chunk.bytes()).ok());
}

TEST_CASE("a chunk begun for its size knows that nothing was reset") {
  const HistogramChunk chunk(1, MakeHistogram({{0, 5}}));
  CHECK(HistogramChunk(2, MakeHistogram({{0, 5}}), &chunk).counter_reset() ==
        CounterReset::kNotReset);
  CHECK(HistogramChunk(2, MakeHistogram({{0, 4}}), &chunk).counter_reset() ==
        CounterReset::kReset);
}

TEST_CASE("decoded samples say what is known of resets inside the chunk") {
  HistogramChunk chunk(1, MakeHistogram({{0, 5}}));
  auto cut = *chunk.Append(2, MakeHistogram({{0, 4}}));
  REQUIRE_FALSE(cut.Append(3, MakeHistogram({{0, 4}})).has_value());
  auto samples = Decode(Encoding::kHistogram, cut.bytes());
  // The chunk before may be gone by then.
  CHECK(ResetOf(samples[0]) == CounterReset::kUnknown);
  CHECK(ResetOf(samples[1]) == CounterReset::kNotReset);

  IntHistogram gauge = MakeHistogram({{0, 5}});
  gauge.counter_reset = CounterReset::kGauge;
  HistogramChunk gauges(1, gauge);
  REQUIRE_FALSE(gauges.Append(2, gauge).has_value());
  samples = Decode(Encoding::kHistogram, gauges.bytes());
  CHECK(ResetOf(samples[0]) == CounterReset::kGauge);
  CHECK(ResetOf(samples[1]) == CounterReset::kGauge);
}

TEST_CASE("only staleness markers follow a staleness marker") {
  IntHistogram stale = MakeHistogram({{0, 5}});
  stale.sum = model::StaleNan();
  HistogramChunk chunk(1, MakeHistogram({{0, 5}}));
  CHECK_FALSE(chunk.Append(2, stale).has_value());
  CHECK_FALSE(chunk.Append(3, stale).has_value());
  const auto cut = chunk.Append(4, MakeHistogram({{0, 5}}));
  REQUIRE(cut.has_value());
  CHECK(cut->counter_reset() == CounterReset::kUnknown);

  model::SampleColumns columns;
  columns.Append(0, 7);
  REQUIRE(DecodeHistogramChunk(Encoding::kHistogram, chunk.bytes(), {1, 2},
                               &columns)
              .ok());
  REQUIRE(columns.size() == 3);
  CHECK(columns.histograms[0] == nullptr);
  CHECK(columns.histograms[1] != nullptr);
  CHECK(columns.histograms[2] == nullptr);
  CHECK(model::IsStaleNan(columns.values[2]));
}

TEMPLATE_TEST_CASE("a histogram chunk cut anywhere is refused", "",
                   HistogramChunk, FloatHistogramChunk) {
  RandomHistograms source(3, /*gauge=*/false);
  std::vector<TestType> chunks;
  for (int i = 0; i < 40; ++i) AppendTo(&chunks, i * 1000, source.Next());
  for (const TestType& chunk : chunks) {
    for (std::size_t size = 0; size < chunk.bytes().size(); ++size) {
      // A copy of the exact size, so that a read past the end is noticed.
      const std::vector<char> cut(chunk.bytes().begin(),
                                  chunk.bytes().begin() + size);
      model::SampleColumns columns;
      columns.Append(1, 1);
      const absl::string_view bytes(cut.data(), cut.size());
      REQUIRE(absl::IsDataLoss(
          DecodeHistogramChunk(EncodingOf<TestType>(), bytes, kAll, &columns)));
      REQUIRE(columns.size() == 1);
      REQUIRE_FALSE(TestType::Resume(bytes).ok());
    }
  }
}

TEST_CASE("a histogram chunk with flipped bits is decoded or refused") {
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    RandomHistograms source(seed, seed % 2 == 1);
    HistogramChunk chunk(0, source.Next());
    for (int i = 1; i < 30; ++i) chunk.Append(i * 1000, source.Next());
    for (const auto encoding :
         {Encoding::kHistogram, Encoding::kFloatHistogram,
          Encoding::kHistogramSt, Encoding::kFloatHistogramSt}) {
      for (std::size_t bit = 0; bit < chunk.bytes().size() * 8; ++bit) {
        std::string bytes(chunk.bytes());
        bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
        std::vector<StoredSample> samples;
        const auto status =
            DecodeHistogramChunk(encoding, bytes, kAll, &samples);
        REQUIRE((status.ok() || (absl::IsDataLoss(status) && samples.empty())));
        if (encoding != Encoding::kHistogram) continue;
        auto resumed = HistogramChunk::Resume(bytes);
        if (!status.ok()) REQUIRE_FALSE(resumed.ok());
        if (resumed.ok()) resumed->Append(model::kMaxTime, source.Next());
      }
    }
  }
}

TEST_CASE("a small chunk that would decode into too much memory is refused") {
  IntHistogram histogram = MakeHistogram({{0, 1}});
  histogram.positive_spans.resize(20000);
  HistogramChunk chunk(0, histogram);
  for (int i = 1; i < 5000; ++i) chunk.Append(i, histogram);
  std::vector<StoredSample> samples;
  CHECK(absl::IsDataLoss(DecodeHistogramChunk(Encoding::kHistogram,
                                              chunk.bytes(), kAll, &samples)));
  CHECK(DecodeHistogramChunk(Encoding::kHistogram, chunk.bytes(), {7, 9},
                             &samples)
            .ok());
  CHECK(samples.size() == 3);
}

TEST_CASE("start times of histograms are read") {
  // The same chunk as one with start times: the header's bits move, and the
  // times would follow each sample.
  HistogramChunk chunk(1000, MakeHistogram({{0, 5}}));
  std::string bytes(chunk.bytes());
  bytes[0] = '\x40';
  bytes[1] = '\1';
  bytes[2] = '\0';
  auto samples = Decode(Encoding::kHistogramSt, bytes);
  REQUIRE(samples.size() == 1);
  CHECK(samples[0].start_ms == 0);

  BitWriter out;
  out.Bits(0x000281, 24);  // Two samples; the first start, then from the next.
  WriteHistogramLayout(
      *Decode(Encoding::kHistogram, chunk.bytes())[0].histogram.integer, &out);
  IntCounts counts;
  out.VarbitInt(1000);
  counts.WriteFirst(MakeHistogram({{0, 5}}), &out);
  out.Bits(0b11001000'00000001, 16);  // 1000 - 900, zigzag: 200 as a varint.
  out.VarbitInt(500);
  counts.WriteNext(MakeHistogram({{0, 6}}), &out);
  out.VarbitInt(-20);  // 1000 - 1020.
  samples = Decode(Encoding::kHistogramSt, out.bytes());
  REQUIRE(samples.size() == 2);
  CHECK(samples[0].start_ms == 900);
  CHECK(samples[1].timestamp_ms == 1500);
  CHECK(samples[1].start_ms == 1020);
}

TEST_CASE("stored samples of every kind are encoded and merged") {
  std::vector<StoredSample> samples;
  RandomHistograms source(9, /*gauge=*/false);
  for (int i = 0; i < 300; ++i) {
    StoredSample sample;
    sample.timestamp_ms = i * 10;
    if (i % 100 < 30) {
      sample.value = i;
    } else if (i % 100 < 60) {
      sample.histogram.integer =
          std::make_shared<const IntHistogram>(source.Next());
    } else {
      sample.histogram.floating =
          std::make_shared<const FloatHistogram>(source.Next().ToFloat());
    }
    samples.push_back(sample);
  }
  std::vector<storage::Chunk> chunks;
  // Two series of chunks: even and odd samples, so that all overlap.
  for (const std::size_t parity : {0, 1}) {
    std::vector<StoredSample> half;
    for (std::size_t i = parity; i < samples.size(); i += 2) {
      half.push_back(samples[i]);
    }
    EncodeStored(half, 7, &chunks);
  }
  std::vector<StoredSample> merged;
  REQUIRE(MergeStored(chunks, &merged).ok());
  REQUIRE(merged.size() == samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    CHECK(merged[i].timestamp_ms == samples[i].timestamp_ms);
    REQUIRE(merged[i].is_float() == samples[i].is_float());
    if (samples[i].is_float()) {
      CHECK(merged[i].value == samples[i].value);
    } else {
      CHECK(FactsOf(merged[i]) == FactsOf(samples[i]));
      CHECK((merged[i].histogram.integer != nullptr) ==
            (samples[i].histogram.integer != nullptr));
      CHECK(ResetOf(merged[i]) == CounterReset::kUnknown);
    }
  }
}

TEST_CASE("where overlapping chunks meet no reset is known") {
  std::vector<storage::Chunk> chunks;
  const auto add = [&](const std::vector<std::int64_t>& times) {
    std::vector<StoredSample> samples;
    for (const std::int64_t time : times) {
      StoredSample sample;
      sample.timestamp_ms = time;
      sample.histogram.integer =
          std::make_shared<const IntHistogram>(MakeHistogram({{0, time}}));
      samples.push_back(sample);
    }
    EncodeStored(samples, 100, &chunks);
  };
  add({1, 2, 3, 6, 7});
  add({3, 4, 5, 8, 9});
  model::SampleColumns columns;
  REQUIRE(DecodeChunks(chunks, kAll, &columns).ok());
  std::string known;
  for (const auto& histogram : columns.histograms) {
    known += histogram->counter_reset == CounterReset::kNotReset ? '+' : '?';
  }
  CHECK(columns.timestamps_ms ==
        std::vector<std::int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(known == "?++?+?+?+");
}

TEST_CASE("columns with histograms are encoded as chunks of both kinds") {
  model::SampleColumns columns;
  RandomHistograms source(4, /*gauge=*/false);
  for (int i = 0; i < 100; ++i) {
    const IntHistogram histogram = source.Next();
    if (i < 20) {
      columns.Append(i, i);
    } else if (histogram.stale()) {
      columns.Append(i, model::StaleNan());
    } else {
      columns.Append(
          i, std::make_shared<const FloatHistogram>(histogram.ToFloat()));
    }
  }
  std::vector<storage::Chunk> chunks;
  EncodeChunks(columns, 50, &chunks);
  model::SampleColumns decoded;
  REQUIRE(DecodeChunks(chunks, kAll, &decoded).ok());
  CHECK(decoded.timestamps_ms == columns.timestamps_ms);
  CHECK(FactsOf(decoded) == FactsOf(columns));
  CHECK(decoded.values[19] == 19);
}

}  // namespace
}  // namespace narthex::tsdb
