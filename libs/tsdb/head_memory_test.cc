#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/metrics/metrics.h"
#include "libs/tsdb/head.h"

namespace narthex::tsdb {
namespace {

constexpr std::int64_t kMinute = 60'000;
constexpr int kSeries = 5000;

struct MeasuredHead {
  metrics::Registry registry;
  TsdbMetrics metrics{registry};
  SeriesLimit limit{{}, registry};
  std::shared_ptr<Head> head =
      std::make_shared<Head>(HeadOptions{{120 * kMinute, 120}}, limit,
                             base::Logger::Discard(), metrics);

  // Series that live for an hour, as those of containers do.
  void Live(int generation) {
    std::vector<RefSample> batch;
    for (int i = 0; i < kSeries; ++i) {
      const auto ref = head->GetOrCreateSeries(
          {{"__name__", absl::StrCat("metric_", i % 50)},
           {"pod", absl::StrCat("pod-", generation, "-", i / 100)},
           {"path", absl::StrCat("/", i % 100)}});
      REQUIRE(ref.ok());
      batch.push_back({*ref, 0, 0});
    }
    for (int minute = 0; minute < 60; ++minute) {
      for (RefSample& sample : batch) {
        sample.timestamp_ms = (generation * 60 + minute) * kMinute;
        sample.value += static_cast<double>(sample.ref % 7);
      }
      std::vector<storage::Rejection> rejected;
      REQUIRE(head->Append({batch, {}, {}, {}, {}}, &rejected).ok());
      REQUIRE(rejected.empty());
    }
  }

  std::size_t Bytes() const {
    const Head::Memory memory = head->memory();
    return memory.index.labels + memory.index.postings + memory.index.hashes +
           memory.series + memory.samples;
  }
};

TEST_CASE("series that come and go do not make the head grow") {
  MeasuredHead measured;
  std::size_t most = 0;
  for (int generation = 0; generation < 24; ++generation) {
    measured.Live(generation);
    measured.head->Truncate((generation - 2) * 60 * kMinute);
    if (generation == 7) most = measured.Bytes();
    if (generation > 7) CHECK(measured.Bytes() < most + most / 4);
    CHECK(measured.head->series_count() <= 5 * kSeries);
  }
  // A truncation spares the series that were asked for since the last one.
  for (int i = 0; i < 3; ++i) measured.head->Truncate(100'000 * kMinute);
  CHECK(measured.head->series_count() == 0);
  CHECK(measured.Bytes() < most / 3);
}

TEST_CASE("a series with an hour of samples takes little memory") {
  MeasuredHead measured;
  measured.Live(0);
  const Head::Memory memory = measured.head->memory();
  CHECK(memory.series < kSeries * 36);
  CHECK(memory.samples < kSeries * 112);
  CHECK(memory.index.labels < kSeries * 24);
  CHECK(memory.index.postings < kSeries * 6);
  CHECK(memory.index.hashes < kSeries * 14);
}

}  // namespace
}  // namespace narthex::tsdb
