// The write-ahead log: encoding, compressing and framing records of one
// scrape, and reading them again.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "libs/tsdb/wal_frames.h"
#include "libs/tsdb/wal_records.h"

namespace narthex::tsdb {
namespace {

constexpr int kSamples = 2000;

std::vector<RefSample> MakeSamples() {
  std::vector<RefSample> samples;
  for (int i = 0; i < kSamples; ++i) {
    samples.push_back({static_cast<std::uint64_t>(i + 1000), 1700006400000,
                       i % 4 == 0 ? 1.0 : i * 0.37});
  }
  return samples;
}

std::string MakeSegment(WalCompression compression) {
  std::string record;
  EncodeSamples(MakeSamples(), &record);
  std::string segment;
  FramePayload(CompressRecord(record, compression), 0, &segment);
  return segment;
}

void BM_Write(benchmark::State& state) {
  const auto compression = static_cast<WalCompression>(state.range(0));
  const std::vector<RefSample> samples = MakeSamples();
  std::string record;
  std::string segment;
  for (auto _ : state) {
    record.clear();
    segment.clear();
    EncodeSamples(samples, &record);
    FramePayload(CompressRecord(record, compression), 0, &segment);
    benchmark::DoNotOptimize(segment.data());
  }
  state.SetItemsProcessed(kSamples * state.iterations());
  state.counters["bytes_per_sample"] =
      static_cast<double>(segment.size()) / kSamples;
}
BENCHMARK(BM_Write)->Name("wal/write/none")->Arg(0);
BENCHMARK(BM_Write)->Name("wal/write/snappy")->Arg(1);
BENCHMARK(BM_Write)->Name("wal/write/zstd")->Arg(2);
BENCHMARK(BM_Write)->Name("wal/write/small")->Arg(1);

void BM_Read(benchmark::State& state) {
  const std::string segment =
      MakeSegment(static_cast<WalCompression>(state.range(0)));
  std::vector<RefSample> samples;
  for (auto _ : state) {
    samples.clear();
    WalSegmentReader reader(segment);
    while (reader.Next()) {
      if (!DecodeSamples(reader.record(), &samples).ok()) break;
    }
    benchmark::DoNotOptimize(samples.data());
  }
  state.SetItemsProcessed(kSamples * state.iterations());
}
BENCHMARK(BM_Read)->Name("wal/read/none")->Arg(0);
BENCHMARK(BM_Read)->Name("wal/read/snappy")->Arg(1);
BENCHMARK(BM_Read)->Name("wal/read/zstd")->Arg(2);

}  // namespace
}  // namespace narthex::tsdb
