// Appending by reference, as an ingester does it for a scraper it knows: with
// the write-ahead log, one call a scrape. Bar: 10 million samples a second.
// And what it takes to start again from that log.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"
#include "libs/base/log.h"
#include "libs/metrics/metrics.h"
#include "libs/tsdb/db.h"

namespace narthex::tsdb {
namespace {

constexpr std::int64_t kStart = 1700006400000;
constexpr std::int64_t kInterval = 15000;
constexpr std::size_t kBatch = 2000;

std::unique_ptr<Db> Open(const std::string& path, metrics::Registry& registry) {
  auto db = Db::Open(path, DbOptions(), base::Logger::Discard(),
                     base::Clock::System(), registry);
  return db.ok() ? *std::move(db) : nullptr;
}

std::vector<RefSample> MakeSamples(Db& db, std::int64_t series) {
  std::vector<RefSample> samples;
  for (std::int64_t i = 0; i < series; ++i) {
    const auto ref =
        db.GetOrCreateSeries({{"__name__", absl::StrCat("metric_", i % 500)},
                              {"instance", absl::StrCat("host-", i / 500)},
                              {"job", "node"}});
    samples.push_back({*ref, kStart, static_cast<double>(i)});
  }
  return samples;
}

// One scrape of all series, in batches.
bool AppendAll(Db& db, std::vector<RefSample>* samples) {
  for (RefSample& sample : *samples) {
    sample.timestamp_ms += kInterval;
    sample.value += static_cast<double>(sample.ref % 3);
  }
  std::vector<storage::Rejection> rejected;
  for (std::size_t i = 0; i < samples->size(); i += kBatch) {
    const auto batch = absl::MakeConstSpan(*samples).subspan(i, kBatch);
    if (!db.Append(batch, &rejected).ok() || !rejected.empty()) return false;
  }
  return true;
}

void BM_Append(benchmark::State& state) {
  const base::TemporaryDirectory directory;
  metrics::Registry registry;
  const auto db = Open(directory.path(), registry);
  std::vector<RefSample> samples = MakeSamples(*db, state.range(0));
  for (auto _ : state) {
    if (!AppendAll(*db, &samples)) {
      state.SkipWithError("not appended");
      break;
    }
  }
  state.SetItemsProcessed(state.range(0) * state.iterations());
}
BENCHMARK(BM_Append)->Name("head/append")->Arg(100'000);
BENCHMARK(BM_Append)->Name("head/append/small")->Arg(100);

void BM_Replay(benchmark::State& state) {
  const base::TemporaryDirectory directory;
  constexpr int kScrapes = 40;
  {
    metrics::Registry registry;
    const auto db = Open(directory.path(), registry);
    std::vector<RefSample> samples = MakeSamples(*db, state.range(0));
    for (int i = 0; i < kScrapes; ++i) AppendAll(*db, &samples);
  }
  for (auto _ : state) {
    metrics::Registry registry;
    if (Open(directory.path(), registry) == nullptr) {
      state.SkipWithError("not opened");
      break;
    }
  }
  state.SetItemsProcessed(kScrapes * state.range(0) * state.iterations());
}
BENCHMARK(BM_Replay)->Name("head/replay")->Arg(50'000);

}  // namespace
}  // namespace narthex::tsdb
