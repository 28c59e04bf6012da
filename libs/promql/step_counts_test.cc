#include "libs/promql/step_counts.h"

#include <catch2/catch.hpp>
#include <vector>

#include "libs/promql/column.h"

namespace narthex::promql {

TEST_CASE("steps are counted alike while they are few and when they are many") {
  constexpr std::size_t kSteps = 40;
  for (const std::size_t stride : {1, 2, 3, 7, 39}) {
    INFO(stride);
    StepCounts counts;
    std::vector<double> expected(kSteps, Absent());
    for (std::size_t i = 0, step = 5; i < 60; ++i) {
      const bool first = IsAbsent(expected[step]);
      expected[step] = first ? 1 : expected[step] + 1;
      CHECK(counts.Count(step, kSteps) == first);
      step = (step + stride) % (stride == 39 ? 5 : kSteps);
    }
    const std::vector<double> values = counts.Take(kSteps);
    REQUIRE(values.size() == kSteps);
    for (std::size_t i = 0; i < kSteps; ++i) {
      CHECK(IsAbsent(values[i]) == IsAbsent(expected[i]));
      if (IsPresent(values[i])) CHECK(values[i] == expected[i]);
    }
    CHECK(counts.bytes() == 0);
  }
}

TEST_CASE("few steps of many take little memory") {
  StepCounts counts;
  for (const std::size_t step : {9'000, 3, 500}) counts.Count(step, 10'000);
  CHECK(counts.bytes() < 100);
}

}  // namespace narthex::promql
