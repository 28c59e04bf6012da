#include "libs/tsdb/wal_histogram_records.h"

#include <catch2/catch.hpp>
#include <map>

#include "libs/tsdb/histogram_fixture.h"
#include "libs/tsdb/wal_records.h"

namespace narthex::tsdb {
namespace {

using model::FloatHistogram;
using model::IntHistogram;

RefHistogram Integer(storage::SeriesRef ref, std::int64_t time,
                     IntHistogram histogram) {
  RefHistogram one;
  one.ref = ref;
  one.timestamp_ms = time;
  one.value.integer =
      std::make_shared<const IntHistogram>(std::move(histogram));
  return one;
}

RefHistogram Floating(storage::SeriesRef ref, std::int64_t time,
                      const IntHistogram& histogram) {
  RefHistogram one;
  one.ref = ref;
  one.timestamp_ms = time;
  one.value.floating =
      std::make_shared<const FloatHistogram>(histogram.ToFloat());
  return one;
}

IntHistogram CustomBounds() {
  IntHistogram histogram;
  histogram.schema = model::kCustomBoundsSchema;
  histogram.custom_bounds = {0.5, 1, 2.5};
  histogram.positive_spans = {{0, 2}};
  histogram.positive_deltas = {1, 2};
  histogram.count = 4;
  histogram.sum = 3;
  return histogram;
}

std::vector<RefHistogram> SomeHistograms() {
  std::vector<RefHistogram> all;
  RandomHistograms source(1, /*gauge=*/false);
  RandomHistograms gauges(2, /*gauge=*/true);
  for (std::int64_t i = 0; i < 50; ++i) {
    const auto ref = static_cast<storage::SeriesRef>(100 - i);
    all.push_back(Integer(ref, 1000 - i, source.Next()));
    all.push_back(Floating(ref, 1000 + i, gauges.Next()));
    all.push_back(Integer(ref, i, CustomBounds()));
    all.push_back(Floating(ref, -i, CustomBounds()));
  }
  return all;
}

bool Same(const RefHistogram& a, const RefHistogram& b) {
  if (a.start_ms != b.start_ms) return false;
  if ((a.value.integer == nullptr) != (b.value.integer == nullptr)) {
    return false;
  }
  if (a.value.integer != nullptr) {
    const IntHistogram& x = *a.value.integer;
    const IntHistogram& y = *b.value.integer;
    return static_cast<const model::HistogramLayout&>(x) == y &&
           x.positive_deltas == y.positive_deltas &&
           x.negative_deltas == y.negative_deltas && x.count == y.count &&
           x.zero_count == y.zero_count &&
           std::bit_cast<std::uint64_t>(x.sum) ==
               std::bit_cast<std::uint64_t>(y.sum);
  }
  const FloatHistogram& x = *a.value.floating;
  const FloatHistogram& y = *b.value.floating;
  return static_cast<const model::HistogramLayout&>(x) == y &&
         FactsOf(x) == FactsOf(y);
}

TEST_CASE("histograms of all kinds come back from a record of each") {
  std::vector<RefHistogram> all = SomeHistograms();
  std::vector<std::uint8_t> types = {7, 9, 8, 10};
  SECTION("without start times") {}
  SECTION("with start times") {
    types = {12, 13};
    for (std::size_t i = 0; i < all.size(); ++i) {
      all[i].start_ms = static_cast<std::int64_t>(i / 8 % 3 * 100);
    }
  }
  std::vector<std::string> records;
  EncodeHistograms(all, &records);
  std::vector<RefHistogram> back;
  std::size_t skipped = 0;
  std::vector<std::uint8_t> found_types;
  for (const std::string& record : records) {
    CHECK(IsHistogramRecord(record));
    found_types.push_back(WalRecordTypeOf(record));
    REQUIRE(DecodeHistograms(record, &back, &skipped).ok());
  }
  CHECK(found_types == types);
  CHECK(skipped == 0);
  REQUIRE(back.size() == all.size());
  for (const RefHistogram& one : back) {
    CHECK(std::any_of(all.begin(), all.end(), [&](const RefHistogram& other) {
      return one.ref == other.ref && one.timestamp_ms == other.timestamp_ms &&
             Same(one, other);
    }));
  }
}

TEST_CASE("histograms that no chunk can take are left out and counted") {
  IntHistogram unknown = MakeHistogram({{0, 1}});
  unknown.schema = 60;
  IntHistogram crooked = MakeHistogram({{0, 1}});
  crooked.positive_deltas.push_back(1);
  IntHistogram backwards = MakeHistogram({{0, 1}, {5, 1}});
  backwards.positive_spans[1].offset = -3;
  std::vector<std::string> records;
  EncodeHistograms(
      {Integer(1, 10, unknown), Integer(2, 20, crooked),
       Integer(3, 30, backwards), Integer(4, 40, MakeHistogram({{0, 1}}))},
      &records);
  REQUIRE(records.size() == 1);
  std::vector<RefHistogram> back;
  std::size_t skipped = 0;
  REQUIRE(DecodeHistograms(records[0], &back, &skipped).ok());
  CHECK(skipped == 3);
  REQUIRE(back.size() == 1);
  CHECK(back[0].ref == 4);
}

TEST_CASE("histogram records cut or changed anywhere do no harm") {
  std::vector<RefHistogram> some = SomeHistograms();
  some.resize(12);
  std::vector<std::string> records;
  EncodeHistograms(some, &records);
  for (RefHistogram& one : some) one.start_ms = one.timestamp_ms - 5;
  EncodeHistograms(some, &records);
  REQUIRE(records.size() == 6);
  for (const std::string& record : records) {
    for (std::size_t i = 0; i < record.size(); ++i) {
      std::vector<RefHistogram> back;
      std::size_t skipped = 0;
      DecodeHistograms(record.substr(0, i), &back, &skipped).IgnoreError();
      for (int flip = 1; flip < 256; flip += 37) {
        std::string changed = record;
        changed[i] = static_cast<char>(changed[i] ^ flip);
        back.clear();
        DecodeHistograms(changed, &back, &skipped).IgnoreError();
      }
    }
    std::vector<RefHistogram> back;
    std::size_t skipped = 0;
    CHECK(absl::IsDataLoss(DecodeHistograms(record.substr(0, record.size() - 1),
                                            &back, &skipped)));
  }
}

}  // namespace
}  // namespace narthex::tsdb
