#include "libs/model/histogram_resolution.h"

#include <catch2/catch.hpp>

namespace narthex::model {
namespace {

// Buckets -1 to 3 with 1 to 5 observations, and an empty one at 5.
HistogramValue Example() {
  auto histogram = std::make_shared<IntHistogram>();
  histogram->schema = 2;
  histogram->positive_spans = {{-1, 5}, {1, 1}};
  histogram->positive_deltas = {1, 1, 1, 1, 1, -5};
  histogram->count = 15;
  return {std::move(histogram), nullptr};
}

}  // namespace

TEST_CASE("a coarser histogram has the sums of its buckets") {
  HistogramValue value = Example();
  LimitSchema(1, &value);
  // (-1, 0), (1, 2), 3 of the finer ones.
  CHECK(value.integer->schema == 1);
  CHECK(value.integer->positive_spans == std::vector<BucketSpan>{{0, 3}});
  CHECK(value.integer->positive_deltas == std::vector<std::int64_t>{3, 4, -2});
  CHECK(value.integer->Validate().ok());
  LimitSchema(8, &value);
  CHECK(value.integer->schema == 1);
}

TEST_CASE("a histogram is made coarser until it has few buckets") {
  HistogramValue value = Example();
  REQUIRE(LimitBuckets(2, &value));
  CHECK(value.integer->schema == 0);
  CHECK(value.integer->count == 15);
  CHECK(value.integer->Validate().ok());
  CHECK_FALSE(LimitBuckets(0, &value));
  CHECK(Example().integer->schema == 2);
}

TEST_CASE("custom bounds are left alone") {
  auto histogram = std::make_shared<FloatHistogram>();
  histogram->schema = kCustomBoundsSchema;
  histogram->custom_bounds = {1, 2};
  histogram->positive_spans = {{0, 2}};
  histogram->positive_buckets = {1, 2};
  HistogramValue value{nullptr, histogram};
  LimitSchema(3, &value);
  CHECK(value.floating->schema == kCustomBoundsSchema);
  CHECK(LimitBuckets(2, &value));
  CHECK_FALSE(LimitBuckets(1, &value));
}

TEST_CASE("the width of buckets names a schema") {
  // Prometheus's documentation of native_histogram_min_bucket_factor.
  CHECK(SchemaForFactor(0) == 8);
  CHECK(SchemaForFactor(1.002) == 8);
  CHECK(SchemaForFactor(1.003) == 7);
  CHECK(SchemaForFactor(1.1) == 2);
  CHECK(SchemaForFactor(2) == 0);
  CHECK(SchemaForFactor(65536) == -4);
  CHECK(SchemaForFactor(1e9) == -4);
}

}  // namespace narthex::model
