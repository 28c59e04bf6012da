#include "libs/model/histogram.h"

#include <catch2/catch.hpp>

#include "libs/model/sample.h"

namespace narthex::model {
namespace {

IntHistogram Example() {
  IntHistogram histogram;
  histogram.schema = 1;
  histogram.zero_threshold = 0.001;
  histogram.zero_count = 2;
  histogram.count = 12;
  histogram.sum = 18.4;
  histogram.positive_spans = {{0, 2}, {1, 2}};
  histogram.positive_deltas = {1, 1, -1, 0};
  histogram.negative_spans = {{0, 2}};
  histogram.negative_deltas = {2, 1};
  return histogram;
}

TEST_CASE("An integer histogram becomes one with absolute counts") {
  const FloatHistogram histogram = Example().ToFloat();
  CHECK(histogram.positive_buckets == std::vector<double>{1, 2, 1, 1});
  CHECK(histogram.negative_buckets == std::vector<double>{2, 3});
  CHECK(histogram.count == 12);
  CHECK(histogram.positive_spans == Example().positive_spans);
  CHECK(histogram.Validate().ok());
}

TEST_CASE("A histogram that contradicts itself is refused with the reason") {
  const auto refused = [](const IntHistogram& histogram) {
    return std::string(histogram.Validate().message());
  };
  CHECK(Example().Validate().ok());

  IntHistogram wrong = Example();
  wrong.positive_deltas.pop_back();
  CHECK(refused(wrong) ==
        "histogram: positive spans need 4 buckets, there are 3");

  wrong = Example();
  wrong.positive_spans[1].offset = -1;
  CHECK(refused(wrong) ==
        "histogram: positive span 2 has the negative offset -1");

  wrong = Example();
  wrong.negative_deltas[1] = -3;
  CHECK(refused(wrong) ==
        "histogram: negative bucket 2 has a count that is negative or too "
        "large");

  wrong = Example();
  wrong.count = 13;
  CHECK(refused(wrong) ==
        "histogram: 12 observations in buckets, but the count is 13");

  wrong = Example();
  wrong.schema = 60;
  CHECK(refused(wrong) == "histogram: unknown schema 60");

  wrong = Example();
  wrong.schema = kCustomBoundsSchema;
  CHECK(refused(wrong) == "histogram: custom bounds allow no negative buckets");
}

TEST_CASE("Observations of NaN are in the count but in no bucket") {
  IntHistogram histogram = Example();
  histogram.sum = NormalNan();
  histogram.count = 13;
  CHECK(histogram.Validate().ok());
  CHECK_FALSE(histogram.stale());
  histogram.sum = StaleNan();
  CHECK(histogram.stale());
}

TEST_CASE("Custom bounds must be finite, ascending, and enough") {
  FloatHistogram histogram;
  histogram.schema = kCustomBoundsSchema;
  histogram.custom_bounds = {1, 2, 5};
  histogram.positive_spans = {{0, 4}};
  histogram.positive_buckets = {1, 0, 0, 3};
  histogram.count = 4;
  CHECK(histogram.Validate().ok());
  histogram.custom_bounds = {1, 2, 2};
  CHECK_FALSE(histogram.Validate().ok());
  histogram.custom_bounds = {1, 2};
  CHECK_FALSE(histogram.Validate().ok());
}

}  // namespace
}  // namespace narthex::model
