#include "services/querier/write_request_v2.h"

#include <catch2/catch.hpp>
#include <memory>

#include "libs/base/proto_field.h"
#include "libs/base/varint.h"

namespace narthex::querier {
namespace {

std::string Field(std::uint32_t number, absl::string_view bytes) {
  std::string out;
  base::AppendBytesField(number, bytes, &out);
  return out;
}

std::string Refs(const std::vector<std::uint64_t>& refs) {
  std::string packed;
  for (const std::uint64_t ref : refs) base::PutUvarint(ref, &packed);
  return Field(1, packed);
}

std::string Sample(std::int64_t time, double value) {
  std::string out;
  base::AppendDoubleField(1, value, &out);
  base::AppendVarintField(2, static_cast<std::uint64_t>(time), &out);
  return Field(2, out);
}

std::string StartingSample(std::int64_t time, std::int64_t start) {
  std::string out;
  base::AppendVarintField(2, static_cast<std::uint64_t>(time), &out);
  base::AppendVarintField(3, static_cast<std::uint64_t>(start), &out);
  return Field(2, out);
}

std::string Symbols(const std::vector<std::string>& symbols) {
  std::string out;
  for (const std::string& symbol : symbols) out += Field(4, symbol);
  return out;
}

std::string Exemplar(const std::vector<std::uint64_t>& refs, double value) {
  std::string out = Refs(refs);
  base::AppendDoubleField(2, value, &out);
  base::AppendVarintField(3, 1234, &out);
  return Field(4, out);
}

}  // namespace

TEST_CASE("series are read with the texts that their numbers stand for") {
  std::string metadata;
  base::AppendVarintField(1, 3, &metadata);
  base::AppendVarintField(3, 5, &metadata);
  const std::string message =
      Symbols({"", "__name__", "up", "job", "a", "help"}) +
      Field(5, Refs({1, 2, 3, 4}) + Sample(1000, 1.5) + Exemplar({3, 4}, 0.25) +
                   Field(5, metadata));
  WriteRequestV2Reader reader(message);
  WrittenSeries series;
  REQUIRE(reader.Next(&series));
  CHECK(reader.series_status().ok());
  model::Labels labels;
  REQUIRE(ParseWrittenLabels(series.label_bytes, &labels).ok());
  CHECK(labels.ToMetricString() == "up{job=\"a\"}");
  REQUIRE(series.samples.size() == 1);
  CHECK(series.samples[0].timestamp_ms == 1000);
  CHECK(series.samples[0].value == 1.5);
  REQUIRE(series.exemplars.size() == 1);
  CHECK(series.exemplars[0].labels.Get("job") == "a");
  CHECK(series.exemplars[0].timestamp_ms == 1234);
  REQUIRE(series.metadata.has_value());
  CHECK(series.metadata->type == model::MetricType::kHistogram);
  CHECK(series.metadata->help == "help");
  CHECK_FALSE(reader.Next(&series));
  CHECK(reader.status().ok());
}

TEST_CASE("start times are read beside samples and histograms") {
  std::string histogram;
  base::AppendVarintField(15, 3000, &histogram);
  base::AppendVarintField(17, 700, &histogram);
  const std::string message =
      Symbols({"", "__name__", "up"}) +
      Field(5, Refs({1, 2}) + Sample(1000, 1) + StartingSample(2000, 500) +
                   Field(3, histogram));
  WriteRequestV2Reader reader(message);
  WrittenSeries series;
  REQUIRE(reader.Next(&series));
  CHECK(series.starts_ms == std::vector<std::int64_t>{0, 500});
  REQUIRE(series.histograms.size() == 1);
  CHECK(series.histograms[0].start_ms == 700);
}

TEST_CASE("numbers without a text make a series unreadable, not the request") {
  const std::string message =
      Symbols({"", "__name__", "up"}) + Field(5, Refs({1, 9}) + Sample(1, 1)) +
      Field(5, Refs({1}) + Sample(1, 1)) +
      Field(5, Refs({1, 2}) + Sample(1, 1) + Exemplar({1, 7}, 1));
  WriteRequestV2Reader reader(message);
  WrittenSeries series;
  REQUIRE(reader.Next(&series));
  CHECK(reader.series_status().message() ==
        "parsing labels for series [1 9]: labelRefs 1 (name) = 9 (value) "
        "outside of symbols table (size 3)");
  REQUIRE(reader.Next(&series));
  CHECK(reader.series_status().message() ==
        "parsing labels for series [1]: invalid labelRefs length 1");
  REQUIRE(reader.Next(&series));
  CHECK(reader.series_status().ok());
  CHECK(reader.exemplar_errors().size() == 1);
  CHECK(series.exemplars.empty());
  CHECK_FALSE(reader.Next(&series));
}

TEST_CASE("a request that is cut anywhere is malformed or shorter") {
  const std::string message =
      Symbols({"", "__name__", "up"}) + Field(5, Refs({1, 2}) + Sample(1, 1));
  for (std::size_t size = 0; size < message.size(); ++size) {
    const std::string cut = message.substr(0, size);
    WriteRequestV2Reader reader(cut);
    WrittenSeries series;
    while (reader.Next(&series)) CHECK_FALSE(reader.series_status().ok());
  }
}

TEST_CASE("histograms are written as they are read") {
  auto integer = std::make_shared<model::IntHistogram>();
  integer->schema = -1;
  integer->counter_reset = model::CounterReset::kGauge;
  integer->zero_threshold = 0.5;
  integer->positive_spans = {{-3, 2}, {4, 1}};
  integer->negative_spans = {{0, 1}};
  integer->positive_deltas = {3, -2, 5};
  integer->negative_deltas = {7};
  integer->zero_count = 2;
  integer->count = 19;
  integer->sum = -4.5;
  auto floating = std::make_shared<model::FloatHistogram>();
  floating->schema = model::kCustomBoundsSchema;
  floating->custom_bounds = {0.5, 2};
  floating->positive_spans = {{1, 2}};
  floating->positive_buckets = {1.5, 2.5};
  floating->count = 4;
  floating->sum = 9;
  for (const model::HistogramValue& value :
       {model::HistogramValue{integer, nullptr},
        model::HistogramValue{nullptr, floating}}) {
    std::string message;
    AppendHistogram({1'700'000'000'000, value}, &message);
    WrittenHistogram read;
    REQUIRE(ReadHistogram(message, &read));
    CHECK(read.timestamp_ms == 1'700'000'000'000);
    if (value.integer != nullptr) {
      REQUIRE(read.value.integer != nullptr);
      CHECK(static_cast<const model::HistogramLayout&>(*read.value.integer) ==
            *integer);
      CHECK(read.value.integer->positive_deltas == integer->positive_deltas);
      CHECK(read.value.integer->negative_deltas == integer->negative_deltas);
      CHECK(read.value.integer->count == 19);
      CHECK(read.value.integer->zero_count == 2);
      CHECK(read.value.integer->sum == -4.5);
    } else {
      REQUIRE(read.value.floating != nullptr);
      CHECK(static_cast<const model::HistogramLayout&>(*read.value.floating) ==
            *floating);
      CHECK(read.value.floating->positive_buckets ==
            floating->positive_buckets);
      CHECK(read.value.floating->count == 4);
      CHECK(read.value.floating->sum == 9);
    }
  }
}

}  // namespace narthex::querier
