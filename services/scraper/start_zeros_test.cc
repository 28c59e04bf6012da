#include "services/scraper/start_zeros.h"

#include <catch2/catch.hpp>

namespace narthex::scraper {

TEST_CASE("a native histogram begins with an empty one of its layout") {
  auto value = std::make_shared<model::FloatHistogram>();
  value->schema = model::kCustomBoundsSchema;
  value->custom_bounds = {1, 2};
  value->positive_spans = {{0, 1}};
  value->positive_buckets = {3};
  value->count = 3;
  value->sum = 4;
  StartZeros starts;
  cluster::PushBatch zeros;
  starts.Note(7, 500, 1000, {nullptr, value}, &zeros);
  starts.Note(7, 500, 2000, {nullptr, value}, &zeros);
  REQUIRE(zeros.histograms.size() == 1);
  CHECK(zeros.histograms[0].ref == 7);
  CHECK(zeros.histograms[0].timestamp_ms == 500);
  const model::FloatHistogram& zero = *zeros.histograms[0].value.floating;
  CHECK(zero.schema == model::kCustomBoundsSchema);
  CHECK(zero.custom_bounds == value->custom_bounds);
  CHECK(zero.counter_reset == model::CounterReset::kReset);
  CHECK(zero.count == 0);
  CHECK(zero.sum == 0);
  CHECK(zero.positive_spans.empty());
  CHECK(zero.Validate().ok());
  // Forgotten, it may be another series' reference.
  starts.Forget(7);
  starts.Note(7, 500, 2000, &zeros);
  CHECK(zeros.samples.size() == 1);
}

}  // namespace narthex::scraper
