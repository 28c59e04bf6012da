#include "libs/tsdb/wal_records.h"

#include <bit>
#include <catch2/catch.hpp>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "libs/model/sample.h"

namespace narthex::tsdb {
namespace {

constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();

std::vector<RefSample> SomeSamples() {
  std::vector<RefSample> samples = {
      {7, 1000, 1.5},
      {3, 900, -0.0},
      {8, 1000, model::StaleNan()},
      {std::uint64_t{1} << 40, kMost, 1e308},
      {1, kLeast, 0},
  };
  std::mt19937_64 random(1);
  for (int i = 0; i < 500; ++i) {
    samples.push_back({random(), static_cast<std::int64_t>(random()),
                       std::bit_cast<double>(random())});
  }
  return samples;
}

TEST_CASE("samples come back bit by bit") {
  const auto samples = SomeSamples();
  std::string record;
  EncodeSamples(samples, &record);
  CHECK(WalRecordTypeOf(record) == 2);
  std::vector<RefSample> back;
  REQUIRE(DecodeSamples(record, &back).ok());
  REQUIRE(back.size() == samples.size());
  for (std::size_t i = 0; i < back.size(); ++i) {
    CHECK(back[i].ref == samples[i].ref);
    CHECK(back[i].timestamp_ms == samples[i].timestamp_ms);
    CHECK(std::bit_cast<std::uint64_t>(back[i].value) ==
          std::bit_cast<std::uint64_t>(samples[i].value));
  }
}

TEST_CASE("series, tombstones and metadata come back") {
  const std::vector<RefSeries> series = {
      {1, {{"__name__", "up"}, {"job", "node"}}},
      {900, {{"a", std::string(300, 'x')}, {"\u00e4", "\u00f6"}}}};
  std::string record;
  EncodeSeries(series, &record);
  std::vector<RefSeries> series_back;
  REQUIRE(DecodeSeries(record, &series_back).ok());
  REQUIRE(series_back.size() == 2);
  CHECK(series_back[0].ref == 1);
  CHECK(series_back[0].labels == series[0].labels);
  CHECK(series_back[1].labels == series[1].labels);

  const std::vector<RefTombstone> tombstones = {{5, {-10, 20}},
                                                {6, {kLeast, kMost}}};
  record.clear();
  EncodeTombstones(tombstones, &record);
  std::vector<RefTombstone> tombstones_back;
  REQUIRE(DecodeTombstones(record, &tombstones_back).ok());
  REQUIRE(tombstones_back.size() == 2);
  CHECK(tombstones_back[1].ref == 6);
  CHECK(tombstones_back[1].range.min_ms == kLeast);
  CHECK(tombstones_back[1].range.max_ms == kMost);

  const std::vector<RefMetadata> metadata = {{12, 1, "seconds", "How long."}};
  record.clear();
  EncodeMetadata(metadata, &record);
  std::vector<RefMetadata> metadata_back;
  REQUIRE(DecodeMetadata(record, &metadata_back).ok());
  REQUIRE(metadata_back.size() == 1);
  CHECK(metadata_back[0].ref == 12);
  CHECK(metadata_back[0].unit == "seconds");
  CHECK(metadata_back[0].help == "How long.");
}

TEST_CASE("labels that were written unsorted or empty are put in order") {
  // Reference 1 with three labels: b="2", a="1", c="".
  const std::string record(
      "\x01\0\0\0\0\0\0\0\x01\x03\x01"
      "b\x01"
      "2\x01"
      "a\x01"
      "1\x01"
      "c\0",
      21);
  std::vector<RefSeries> series;
  REQUIRE(DecodeSeries(record, &series).ok());
  REQUIRE(series.size() == 1);
  CHECK(series[0].labels.ToString() == R"({a="1", b="2"})");
}

TEST_CASE("records cut at any byte or with any byte changed do no harm") {
  std::vector<std::string> records(4);
  EncodeSamples(absl::MakeConstSpan(SomeSamples()).subspan(0, 8), &records[0]);
  EncodeSeries({{1, {{"__name__", "up"}, {"job", "node"}}}}, &records[1]);
  EncodeTombstones({{5, {-10, 20}}, {6, {7, 8}}}, &records[2]);
  EncodeMetadata({{12, 1, "seconds", "How long."}}, &records[3]);
  const auto decode = [](absl::string_view record) {
    std::vector<RefSample> samples;
    std::vector<RefSeries> series;
    std::vector<RefTombstone> tombstones;
    std::vector<RefMetadata> metadata;
    DecodeSamples(record, &samples).IgnoreError();
    DecodeSeries(record, &series).IgnoreError();
    DecodeTombstones(record, &tombstones).IgnoreError();
    DecodeMetadata(record, &metadata).IgnoreError();
    storage::SeriesRef ref = 0;
    std::int64_t time = 0;
    BaseOfRecord(record, &ref, &time);
  };
  for (const std::string& record : records) {
    for (std::size_t i = 0; i < record.size(); ++i) {
      decode(absl::string_view(record).substr(0, i));
      for (int flip = 1; flip < 256; flip += 37) {
        std::string changed = record;
        changed[i] = static_cast<char>(changed[i] ^ flip);
        decode(changed);
      }
    }
  }
  std::vector<RefSample> samples;
  CHECK(absl::IsDataLoss(
      DecodeSamples(absl::string_view(records[0]).substr(0, 40), &samples)));
}

}  // namespace
}  // namespace narthex::tsdb
