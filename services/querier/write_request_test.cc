#include "services/querier/write_request.h"

#include <bit>
#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/varint.h"

namespace narthex::querier {
namespace {

// Enough of an encoder for the messages of these tests.
std::string Bytes(int field, absl::string_view content) {
  std::string out;
  base::PutUvarint(static_cast<std::uint64_t>(field) << 3 | 2, &out);
  base::PutUvarint(content.size(), &out);
  out.append(content.data(), content.size());
  return out;
}

std::string Label(absl::string_view name, absl::string_view value) {
  return Bytes(1, Bytes(1, name) + Bytes(2, value));
}

std::string Sample(std::int64_t timestamp_ms, double value) {
  std::string out = "\x09";
  const auto bits = std::bit_cast<std::uint64_t>(value);
  char fixed[8];
  std::memcpy(fixed, &bits, sizeof(fixed));
  out.append(fixed, sizeof(fixed));
  out.push_back('\x10');
  base::PutUvarint(static_cast<std::uint64_t>(timestamp_ms), &out);
  return Bytes(2, out);
}

TEST_CASE("series, labels and samples are read from a write request") {
  const std::string up = Label("__name__", "up") + Label("job", "a");
  const std::string message =
      Bytes(1, up + Sample(1000, 1.5) + Sample(-5, -2)) + Bytes(3, "metadata") +
      Bytes(1, up + Bytes(4, "") +
                   Bytes(3, Label("trace_id", "x") + Sample(7, 0.5).substr(2)));
  WriteRequestReader reader(message);
  WrittenSeries series;

  REQUIRE(reader.Next(&series));
  CHECK(series.label_bytes == absl::string_view(up));
  REQUIRE(series.samples.size() == 2);
  CHECK(series.samples[0].timestamp_ms == 1000);
  CHECK(series.samples[0].value == 1.5);
  CHECK(series.samples[1].timestamp_ms == -5);
  model::Labels labels;
  REQUIRE(ParseWrittenLabels(series.label_bytes, &labels).ok());
  CHECK(labels.ToMetricString() == "up{job=\"a\"}");

  REQUIRE(reader.Next(&series));
  CHECK(series.samples.empty());
  CHECK(series.histograms.size() == 1);
  REQUIRE(series.exemplars.size() == 1);
  CHECK(series.exemplars[0].labels.Get("trace_id") == "x");
  CHECK_FALSE(reader.Next(&series));
  CHECK(reader.status().ok());
}

TEST_CASE("labels among other fields are gathered") {
  const std::string message =
      Bytes(1, Label("__name__", "up") + Sample(1, 1) + Label("a", "b") +
                   Sample(2, 2) + Label("c", "d"));
  WriteRequestReader reader(message);
  WrittenSeries series;
  REQUIRE(reader.Next(&series));
  model::Labels labels;
  REQUIRE(ParseWrittenLabels(series.label_bytes, &labels).ok());
  CHECK(labels.ToMetricString() == "up{a=\"b\", c=\"d\"}");
  CHECK(series.samples.size() == 2);
}

TEST_CASE("series that are read ahead keep their labels") {
  const std::string value(200, 'x');
  std::string message;
  for (const char* name : {"a", "b", "c"}) {
    message +=
        Bytes(1, Label("__name__", name) + Sample(1, 1) + Label("long", value));
    message += Bytes(
        1, Label("__name__", name) + Label("long", value) + Label("z", "z"));
  }
  WriteRequestReader reader(message);
  std::vector<WrittenSeries> series(6);
  for (WrittenSeries& one : series) REQUIRE(reader.Next(&one));
  for (std::size_t i = 0; i < series.size(); ++i) {
    model::Labels labels;
    REQUIRE(ParseWrittenLabels(series[i].label_bytes, &labels).ok());
    CHECK(labels.Get("__name__") == std::string(1, "abc"[i / 2]));
    CHECK(labels.Get("long") == value);
    CHECK(labels.Get("z") == (i % 2 == 0 ? "" : "z"));
  }
}

TEST_CASE("bad labels are refused by what is wrong with them") {
  const auto error = [](const std::string& bytes) {
    model::Labels labels;
    return std::string(ParseWrittenLabels(bytes, &labels).message());
  };
  CHECK_THAT(error(Label("a", "b")), Catch::Contains("no metric name"));
  CHECK_THAT(error(Label("__name__", "up") + Label("__name__", "x")),
             Catch::Contains("not unique"));
  CHECK_THAT(error(Label("__name__", "up") + Label("", "x")),
             Catch::Contains("invalid label"));
  CHECK_THAT(error(Label("__name__", "up") + Label("a", "\xff")),
             Catch::Contains("invalid label"));
}

TEST_CASE("a message cut or changed anywhere is read without harm") {
  const std::string whole =
      Bytes(1, Label("__name__", "up") + Label("job", "a") +
                   Sample(1'700'000'000'000, 1.5) + Bytes(4, "\x08\x01"));
  const auto walk = [](const std::string& message) {
    WriteRequestReader reader(message);
    WrittenSeries series;
    model::Labels labels;
    while (reader.Next(&series)) {
      ParseWrittenLabels(series.label_bytes, &labels).IgnoreError();
    }
    return reader.status();
  };
  for (std::size_t length = 1; length < whole.size(); ++length) {
    CHECK_FALSE(walk(whole.substr(0, length)).ok());
  }
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = whole;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      walk(changed).IgnoreError();
    }
  }
  CHECK(walk(whole).ok());
  CHECK(walk("").ok());
}

}  // namespace
}  // namespace narthex::querier
