#include "libs/model/histogram_arithmetic.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "libs/model/histogram_buckets.h"
#include "libs/model/histogram_sum.h"

namespace narthex::model {
namespace {

/// With one span from `offset` on; the count is that of the buckets.
FloatHistogram Make(std::int32_t schema, std::int32_t offset,
                    std::vector<double> buckets) {
  FloatHistogram h;
  h.schema = schema;
  for (const double count : buckets) h.count += count;
  h.sum = 2 * h.count;
  h.positive_spans = {{offset, static_cast<std::uint32_t>(buckets.size())}};
  h.positive_buckets = std::move(buckets);
  return h;
}

FloatHistogram MakeCustom(std::vector<double> bounds,
                          std::vector<double> buckets) {
  FloatHistogram h = Make(kCustomBoundsSchema, 0, std::move(buckets));
  h.custom_bounds = std::move(bounds);
  return h;
}

FloatHistogram WithZero(FloatHistogram h, double threshold, double count) {
  h.zero_threshold = threshold;
  h.zero_count = count;
  h.count += count;
  return h;
}

TEST_CASE("bucket bounds grow with the schema") {
  CHECK(ExponentialBound(0, 0) == 1);
  CHECK(ExponentialBound(3, 0) == 8);
  CHECK(ExponentialBound(-1, 0) == 0.5);
  CHECK(ExponentialBound(1, -2) == 16);
  CHECK(ExponentialBound(2, 1) == 2);
  CHECK(ExponentialBound(1, 3) == 1.0905077326652577);
  // As Prometheus has them, which is not the nearest double of the power.
  CHECK(ExponentialBound(1, 1) == 1.414213562373095);
  CHECK(ExponentialBound(-1, 1) == 0.7071067811865475);
  CHECK(ExponentialBound(-1, 8) == 0.9972960560854698);
  CHECK(ExponentialBound(1024, 0) == std::numeric_limits<double>::max());
  CHECK(ExponentialBound(1025, 0) == std::numeric_limits<double>::infinity());
  CHECK(ExponentialBound(64, -4) == std::numeric_limits<double>::max());
}

TEST_CASE("sums reconcile what differs") {
  struct Row {
    std::string name;
    FloatHistogram a;
    FloatHistogram b;
    std::string sum;
  };
  const std::vector<Row> rows{
      {"equal layouts", Make(0, 0, {1, 2}), Make(0, 0, {3, 4}),
       "{count:10, sum:20, (0.5,1]:4, (1,2]:6}"},
      {"a gap", Make(0, 0, {1}), Make(0, 3, {2}),
       "{count:3, sum:6, (0.5,1]:1, (4,8]:2}"},
      {"a finer schema", Make(0, 1, {1, 1}), Make(1, 1, {1, 2, 3}),
       "{count:8, sum:16, (1,2]:4, (2,4]:4}"},
      {"a coarser schema", Make(1, 1, {1, 2, 3}), Make(0, 1, {1, 1}),
       "{count:8, sum:16, (1,2]:4, (2,4]:4}"},
      {"a wider zero bucket", WithZero(Make(0, 0, {1, 2}), 0.001, 5),
       WithZero(Make(0, 1, {4}), 1, 7),
       "{count:19, sum:14, [-1,1]:13, (1,2]:6}"},
      {"a zero bucket that ends within a bucket",
       WithZero(Make(0, 0, {1, 2}), 0.001, 5),
       WithZero(Make(0, 2, {4}), 1.5, 7),
       "{count:19, sum:14, [-2,2]:15, (2,4]:4}"},
      {"custom bounds", MakeCustom({1, 2, 3}, {1, 2, 3, 4}),
       MakeCustom({1, 3, 5}, {10, 20, 30, 40}),
       "{count:110, sum:220, [-Inf,1]:11, (1,3]:25, (3,+Inf]:74}"},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    FloatHistogram sum = row.a;
    const MergeOutcome outcome = Add(row.b, &sum);
    CHECK_FALSE(outcome.incompatible);
    CHECK(outcome.bounds_reconciled ==
          (row.a.custom_bounds != row.b.custom_bounds));
    CHECK(ToString(sum) == row.sum);
    CHECK(ToString(HistogramSum(sum).Total()) == row.sum);
  }
}

TEST_CASE("subtracting what was added gives what was there") {
  const FloatHistogram a = WithZero(Make(2, -3, {1, 0, 2, 5}), 0.01, 3);
  const FloatHistogram b = Make(2, 0, {4, 0, 0, 1});
  FloatHistogram result = a;
  Add(b, &result);
  Subtract(b, &result);
  Compact(&result);
  FloatHistogram expected = a;
  Compact(&expected);
  CHECK(Equal(result, expected));
}

TEST_CASE("exponential and custom histograms do not add up") {
  FloatHistogram exponential = Make(0, 0, {1});
  const FloatHistogram before = exponential;
  CHECK(Add(MakeCustom({1}, {1, 1}), &exponential).incompatible);
  CHECK(Equal(exponential, before));
}

TEST_CASE("the counter reset of a sum is what both agree on") {
  using enum CounterReset;
  struct Row {
    CounterReset a;
    CounterReset b;
    CounterReset sum;
    bool collision;
  };
  for (const Row& row : std::vector<Row>{{kReset, kReset, kReset, false},
                                         {kReset, kUnknown, kUnknown, false},
                                         {kUnknown, kNotReset, kUnknown, false},
                                         {kReset, kNotReset, kUnknown, true},
                                         {kNotReset, kReset, kUnknown, true},
                                         {kGauge, kReset, kGauge, false},
                                         {kNotReset, kGauge, kGauge, false}}) {
    FloatHistogram a = Make(0, 0, {1});
    FloatHistogram b = Make(0, 0, {1});
    a.counter_reset = row.a;
    b.counter_reset = row.b;
    CHECK(Add(b, &a).reset_collision == row.collision);
    CHECK(a.counter_reset == row.sum);
  }
}

TEST_CASE("scaling scales everything") {
  FloatHistogram h = WithZero(Make(0, 0, {1, 2}), 0.1, 3);
  Multiply(2, &h);
  CHECK(ToString(h) == "{count:12, sum:12, [-0.1,0.1]:6, (0.5,1]:2, (1,2]:4}");
  CHECK(h.counter_reset == CounterReset::kUnknown);
  Multiply(-0.5, &h);
  CHECK(h.counter_reset == CounterReset::kGauge);
  Divide(0, &h);
  CHECK(h.positive_buckets.empty());
  CHECK(h.count == -std::numeric_limits<double>::infinity());
}

TEST_CASE("compacting leaves only populated buckets") {
  FloatHistogram h = Make(0, 0, {0, 1, 0, 0, 2, 0});
  Compact(&h);
  CHECK(h.positive_spans == std::vector<BucketSpan>{{1, 1}, {2, 1}});
  CHECK(h.positive_buckets == std::vector<double>{1, 2});
}

TEST_CASE("resets are seen in every count") {
  const FloatHistogram base = WithZero(Make(1, 0, {5, 5, 5, 5}), 0.1, 5);
  const auto resets = [&](const FloatHistogram& current) {
    return DetectReset(base, current);
  };
  FloatHistogram next = base;
  CHECK_FALSE(resets(next));
  next.count += 10;
  next.positive_buckets[1] += 10;
  CHECK_FALSE(resets(next));
  next.positive_buckets[2] -= 1;
  CHECK(resets(next));
  next = base;
  next.zero_count = 4;
  CHECK(resets(next));
  next = base;
  next.counter_reset = CounterReset::kReset;
  CHECK(resets(next));
  next = Make(1, 0, {5, 5, 5, 5, 20});
  next.counter_reset = CounterReset::kNotReset;
  CHECK_FALSE(resets(next));
  SECTION("coarser is no reset, finer is") {
    FloatHistogram coarse = base;
    ReduceResolution(0, &coarse);
    CHECK_FALSE(DetectReset(base, coarse));
    CHECK(DetectReset(coarse, base));
  }
  SECTION("a populated bucket that is gone is one") {
    FloatHistogram gone = WithZero(Make(1, 1, {5, 5, 5, 20}), 0.1, 5);
    CHECK(resets(gone));
  }
  SECTION("custom bounds are compared where they agree") {
    const FloatHistogram before = MakeCustom({1, 2, 3}, {1, 1, 1, 1});
    CHECK_FALSE(DetectReset(before, MakeCustom({2, 4}, {2, 1, 1})));
    CHECK(DetectReset(before, MakeCustom({2, 4}, {1, 2, 1})));
  }
}

TEST_CASE("trimming keeps one side of a limit") {
  FloatHistogram h = Make(0, 0, {2, 4, 8});  // (0.5,1] (1,2] (2,4]
  SECTION("above, at a bound") {
    TrimAbove(2, &h);
    CHECK(h.count == 6);
    CHECK(h.positive_buckets == std::vector<double>{2, 4});
  }
  SECTION("below, within a bucket") {
    TrimBelow(std::sqrt(8.0), &h);
    CHECK(h.count == Approx(4));
    CHECK(h.positive_buckets.size() == 1);
  }
  SECTION("above, linearly between custom bounds") {
    FloatHistogram custom = MakeCustom({1, 2, 3}, {1, 4, 4});
    TrimAbove(1.5, &custom);
    CHECK(custom.count == 3);
  }
  SECTION("what loses nothing keeps its sum") {
    TrimAbove(100, &h);
    CHECK(h.sum == 28);
  }
}

TEST_CASE("means survive an overflow of the sum") {
  FloatHistogram huge = Make(0, 0, {1e308});
  huge.sum = 1.5e308;
  HistogramMean mean(huge);
  mean.Add(huge);
  mean.Add(huge);
  CHECK(mean.Mean().sum == Approx(1.5e308));
  CHECK(mean.Mean().positive_buckets[0] == Approx(1e308));
}

TEST_CASE("compensated sums keep small parts") {
  HistogramSum sum(Make(0, 0, {1}));
  FloatHistogram big = Make(0, 0, {1e100});
  FloatHistogram minus = big;
  Multiply(-1, &minus);
  sum.Add(big);
  sum.Add(Make(0, 0, {1}));
  sum.Add(minus);
  CHECK(sum.Total().positive_buckets[0] == 2);
}

}  // namespace
}  // namespace narthex::model
