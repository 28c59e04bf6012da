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

TEST_CASE("exemplars and mmap markers come back") {
  const std::vector<RefExemplar> exemplars = {
      {12, 1000, 0.5, {{"trace_id", "abc"}}}, {11, 900, -1, {}}};
  std::string record;
  EncodeExemplars(exemplars, &record);
  CHECK(record.substr(0, 17) ==
        std::string("\4\0\0\0\0\0\0\0\x0c\0\0\0\0\0\0\3\xe8", 17));
  std::vector<RefExemplar> exemplars_back;
  REQUIRE(DecodeExemplars(record, &exemplars_back).ok());
  REQUIRE(exemplars_back.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(exemplars_back[i].ref == exemplars[i].ref);
    CHECK(exemplars_back[i].timestamp_ms == exemplars[i].timestamp_ms);
    CHECK(exemplars_back[i].value == exemplars[i].value);
    CHECK(exemplars_back[i].labels == exemplars[i].labels);
  }

  record.clear();
  EncodeMmapMarkers({{3, (std::uint64_t{1} << 32) + 8}}, &record);
  CHECK(record == std::string("\5\0\0\0\0\0\0\0\3\0\0\0\1\0\0\0\x08", 17));
  std::vector<RefMmapMarker> markers;
  REQUIRE(DecodeMmapMarkers(record, &markers).ok());
  REQUIRE(markers.size() == 1);
  CHECK(markers[0].chunk_ref == (std::uint64_t{1} << 32) + 8);
}

TEST_CASE("samples with start times come back") {
  std::vector<RefSample> samples = SomeSamples();
  std::vector<std::int64_t> starts;
  std::mt19937_64 random(2);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const bool as_before = i > 0 && random() % 3 == 0;
    starts.push_back(as_before
                         ? starts.back()
                         : static_cast<std::int64_t>(random() % 3 * random()));
  }
  std::string record;
  EncodeStartingSamples(samples, starts, &record);
  CHECK(WalRecordTypeOf(record) == 11);
  // What plain records gave before has no start times.
  std::vector<RefSample> back = {{1, 2, 3}};
  std::vector<std::int64_t> starts_back;
  REQUIRE(DecodeSamples(record, &back, &starts_back).ok());
  REQUIRE(back.size() == samples.size() + 1);
  REQUIRE(starts_back.size() == back.size());
  CHECK(starts_back[0] == 0);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    CHECK(back[i + 1].ref == samples[i].ref);
    CHECK(back[i + 1].timestamp_ms == samples[i].timestamp_ms);
    CHECK(starts_back[i + 1] == starts[i]);
  }
}

TEST_CASE("a record with start times has the bytes that are specified") {
  std::string record;
  EncodeStartingSamples({{5, 1000, 1}, {7, 1010, 1}, {6, 990, 1}, {8, 1000, 1}},
                        {900, 900, 0, 910}, &record);
  const std::string one("\x3f\xf0\0\0\0\0\0\0", 8);
  CHECK(record == "\x0b\x0a\xd0\x0f\x88\x0e" + one + "\x04\x14\x01" + one +
                      "\x01\x13" + std::string(1, '\0') + one +
                      std::string("\x04\0\x02\x14", 4) + one);
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
  std::vector<std::string> records(7);
  EncodeSamples(absl::MakeConstSpan(SomeSamples()).subspan(0, 8), &records[0]);
  EncodeSeries({{1, {{"__name__", "up"}, {"job", "node"}}}}, &records[1]);
  EncodeTombstones({{5, {-10, 20}}, {6, {7, 8}}}, &records[2]);
  EncodeMetadata({{12, 1, "seconds", "How long."}}, &records[3]);
  EncodeExemplars({{12, 1, 1.5, {{"trace_id", "a"}}}}, &records[4]);
  EncodeMmapMarkers({{12, 1}, {13, 5}}, &records[5]);
  EncodeStartingSamples({{7, 1000, 1.5}, {9, 1001, 2}}, {500, 700},
                        &records[6]);
  const auto decode = [](absl::string_view record) {
    std::vector<RefSample> samples;
    std::vector<RefSeries> series;
    std::vector<RefTombstone> tombstones;
    std::vector<RefMetadata> metadata;
    DecodeSamples(record, &samples).IgnoreError();
    DecodeSeries(record, &series).IgnoreError();
    DecodeTombstones(record, &tombstones).IgnoreError();
    DecodeMetadata(record, &metadata).IgnoreError();
    std::vector<RefExemplar> exemplars;
    std::vector<RefMmapMarker> markers;
    std::vector<std::int64_t> starts;
    DecodeSamples(record, &samples, &starts).IgnoreError();
    DecodeExemplars(record, &exemplars).IgnoreError();
    DecodeMmapMarkers(record, &markers).IgnoreError();
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
