// The chunk codec, on samples as exporters give them. Bar: 100 million samples
// a second each way.
#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "libs/tsdb/xor_chunk.h"

namespace narthex::tsdb {
namespace {

constexpr std::int64_t kStart = 1700006400000;
constexpr int kSamples = 120;

enum Shape { kConstant, kCounter, kGauge };

std::vector<double> ValuesOf(std::int64_t shape) {
  std::mt19937 random(1);
  std::vector<double> values;
  double value = 1000;
  for (int i = 0; i < kSamples; ++i) {
    if (shape == kCounter) value += static_cast<double>(random() % 50);
    if (shape == kGauge) value = static_cast<double>(random()) * 1e-6;
    values.push_back(value);
  }
  return values;
}

XorChunk Encode(const std::vector<double>& values) {
  XorChunk chunk;
  std::int64_t time = kStart;
  for (const double value : values) chunk.Append(time += 15000, value);
  return chunk;
}

void BM_Encode(benchmark::State& state) {
  const std::vector<double> values = ValuesOf(state.range(0));
  for (auto _ : state) {
    const XorChunk chunk = Encode(values);
    benchmark::DoNotOptimize(chunk.bytes().data());
  }
  state.SetItemsProcessed(kSamples * state.iterations());
}
BENCHMARK(BM_Encode)->Name("xor_chunk/encode/constant")->Arg(kConstant);
BENCHMARK(BM_Encode)->Name("xor_chunk/encode/counter")->Arg(kCounter);
BENCHMARK(BM_Encode)->Name("xor_chunk/encode/gauge")->Arg(kGauge);

void BM_Decode(benchmark::State& state) {
  const XorChunk chunk = Encode(ValuesOf(state.range(0)));
  model::SampleColumns samples;
  for (auto _ : state) {
    samples.clear();
    if (!DecodeXorChunk(chunk.bytes(), &samples).ok()) {
      state.SkipWithError("chunk not decoded");
      break;
    }
    benchmark::DoNotOptimize(samples.values.data());
  }
  state.SetItemsProcessed(kSamples * state.iterations());
  state.counters["bytes_per_sample"] =
      static_cast<double>(chunk.bytes().size()) / kSamples;
}
BENCHMARK(BM_Decode)->Name("xor_chunk/decode/constant")->Arg(kConstant);
BENCHMARK(BM_Decode)->Name("xor_chunk/decode/counter")->Arg(kCounter);
BENCHMARK(BM_Decode)->Name("xor_chunk/decode/gauge")->Arg(kGauge);
BENCHMARK(BM_Decode)->Name("xor_chunk/decode/small")->Arg(kCounter);

}  // namespace
}  // namespace narthex::tsdb
