#include "libs/cluster/push_columns.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <limits>
#include <memory>

#include "libs/model/sample.h"
#include "narthex/v1/ingester.pb.h"

namespace narthex::cluster {

TEST_CASE("samples round trip through columns with all bits") {
  const std::vector<RefSample> samples = {
      {7, 1'700'000'000'000, 1.5},
      {8, 1'700'000'000'000, model::StaleNan()},
      {3, std::numeric_limits<std::int64_t>::min(), -0.0},
      {4'000'000'000, std::numeric_limits<std::int64_t>::max(), 0}};
  v1::PushRequest request;
  PushEncoder encoder(&request);
  encoder.Add(samples);
  encoder.Finish();
  std::vector<RefSample> decoded;
  REQUIRE(DecodePush(request, &decoded).ok());
  REQUIRE(decoded.size() == samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    CHECK(decoded[i].ref == samples[i].ref);
    CHECK(decoded[i].timestamp_ms == samples[i].timestamp_ms);
    CHECK(std::memcmp(&decoded[i].value, &samples[i].value, 8) == 0);
  }
}

TEST_CASE("start times round trip beside the samples that have them") {
  PushBatch batch;
  batch.samples = {{7, 10, 1}, {8, 10, 2}, {7, 20, 3}};
  batch.starts = {{7, 10, 5},
                  {7, std::numeric_limits<std::int64_t>::max(),
                   std::numeric_limits<std::int64_t>::min()},
                  {4'000'000'000, std::numeric_limits<std::int64_t>::min(),
                   std::numeric_limits<std::int64_t>::max()}};
  v1::PushRequest request;
  PushEncoder encoder(&request);
  // In parts, as messages are put together.
  encoder.Add(batch.samples);
  encoder.AddStarts(absl::MakeConstSpan(batch.starts).first(1));
  encoder.AddStarts(absl::MakeConstSpan(batch.starts).subspan(1));
  encoder.Finish();
  PushBatch decoded;
  REQUIRE(DecodeOthers(request, &decoded).ok());
  REQUIRE(decoded.starts.size() == batch.starts.size());
  for (std::size_t i = 0; i < batch.starts.size(); ++i) {
    CHECK(decoded.starts[i].ref == batch.starts[i].ref);
    CHECK(decoded.starts[i].timestamp_ms == batch.starts[i].timestamp_ms);
    CHECK(decoded.starts[i].start_ms == batch.starts[i].start_ms);
  }
  request.mutable_starts()->pop_back();
  CHECK(absl::IsInvalidArgument(DecodeOthers(request, &decoded)));
}

TEST_CASE("start times are found in step with their samples") {
  const std::vector<RefStart> starts = {{7, 10, 5}, {7, 20, 6}};
  StartReader reader(starts);
  CHECK(reader.Of({7, 10, 1})->start_ms == 5);
  CHECK(reader.Of({8, 10, 1}) == nullptr);
  CHECK(reader.Of({7, 15, 1}) == nullptr);
  CHECK(reader.Of({7, 20, 1})->start_ms == 6);
  CHECK(reader.Of({7, 20, 1}) == nullptr);
}

TEST_CASE("columns that do not agree are refused") {
  v1::PushRequest request;
  PushEncoder encoder(&request);
  encoder.Add({{1, 10, 1}});
  encoder.Add({{2, 10, 1}});
  encoder.Finish();
  std::vector<RefSample> decoded;
  v1::PushRequest bad = request;
  bad.set_samples(3);
  CHECK_FALSE(DecodePush(bad, &decoded).ok());
  bad = request;
  bad.mutable_refs()->pop_back();
  CHECK_FALSE(DecodePush(bad, &decoded).ok());
  bad = request;
  bad.mutable_timestamps()->push_back('\0');
  CHECK_FALSE(DecodePush(bad, &decoded).ok());
}

TEST_CASE("histograms, exemplars and metadata round trip") {
  auto integer = std::make_shared<model::IntHistogram>();
  integer->schema = 3;
  integer->counter_reset = model::CounterReset::kGauge;
  integer->zero_threshold = 1e-128;
  integer->positive_spans = {{-2, 2}, {1, 1}};
  integer->negative_spans = {{0, 1}};
  integer->positive_deltas = {3, -1, 4};
  integer->negative_deltas = {2};
  integer->zero_count = 1;
  integer->count = 14;
  integer->sum = -1.5;
  auto floating = std::make_shared<model::FloatHistogram>();
  floating->schema = model::kCustomBoundsSchema;
  floating->custom_bounds = {1, 2.5};
  floating->positive_spans = {{0, 3}};
  floating->positive_buckets = {0.5, 1, 2};
  floating->count = 3.5;
  floating->sum = model::StaleNan();
  PushBatch batch;
  batch.histograms = {{7, 1'700'000'000'000, {integer, nullptr}, 1'600},
                      {8, -5, {nullptr, floating}}};
  batch.exemplars = {{9, {model::Labels({{"trace_id", "x"}}), 0.25, 12}}};
  batch.metadata = {
      {9, {"a", model::MetricType::kGaugeHistogram, "help", "seconds"}}};
  v1::PushRequest request;
  EncodeOthers(batch, &request);
  PushBatch decoded;
  REQUIRE(DecodeOthers(request, &decoded).ok());

  REQUIRE(decoded.histograms.size() == 2);
  CHECK(decoded.histograms[0].ref == 7);
  CHECK(decoded.histograms[0].timestamp_ms == 1'700'000'000'000);
  REQUIRE(decoded.histograms[0].value.integer != nullptr);
  const model::IntHistogram& got = *decoded.histograms[0].value.integer;
  CHECK(static_cast<const model::HistogramLayout&>(got) == *integer);
  CHECK(got.positive_deltas == integer->positive_deltas);
  CHECK(got.negative_deltas == integer->negative_deltas);
  CHECK(got.zero_count == 1);
  CHECK(got.count == 14);
  CHECK(got.sum == -1.5);
  REQUIRE(decoded.histograms[1].value.floating != nullptr);
  const model::FloatHistogram& other = *decoded.histograms[1].value.floating;
  CHECK(static_cast<const model::HistogramLayout&>(other) == *floating);
  CHECK(other.positive_buckets == floating->positive_buckets);
  CHECK(other.count == 3.5);
  CHECK(other.stale());
  REQUIRE(decoded.exemplars.size() == 1);
  CHECK(decoded.exemplars[0].exemplar.labels.Get("trace_id") == "x");
  CHECK(decoded.exemplars[0].exemplar.value == 0.25);
  CHECK(decoded.exemplars[0].exemplar.timestamp_ms == 12);
  REQUIRE(decoded.metadata.size() == 1);
  CHECK(decoded.metadata[0].metadata == batch.metadata[0].metadata);
}

}  // namespace narthex::cluster
