#include "libs/promql/shared_nodes.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/promql/counted_selections.h"
#include "libs/promql/engine.h"

namespace narthex::promql {
namespace {

constexpr std::int64_t kMinuteMs = 60'000;

/// Six series, `a` and `b`.
class CountingStorage : public CountedSelections {
 public:
  CountingStorage() {
    for (int i = 0; i < 6; ++i) {
      model::SampleColumns samples;
      for (int t = 0; t < 30; ++t) {
        samples.Append(t * kMinuteMs, (i + 1) * t + 1);
      }
      Add(model::Labels(
              {{"__name__", i < 3 ? "a" : "b"}, {"i", absl::StrCat(i % 3)}}),
          samples);
    }
  }
};

QueryResult Run(CountingStorage& storage, const std::string& query,
                bool explain = false) {
  Engine engine({}, base::Clock::System());
  QueryOptions options;
  options.explain = explain;
  auto result = engine.Range(storage, query, 10 * kMinuteMs, 20 * kMinuteMs,
                             kMinuteMs, options);
  INFO(query << ": " << result.status().ToString());
  REQUIRE(result.ok());
  return *std::move(result);
}

}  // namespace

TEST_CASE("what a query says several times is evaluated once") {
  struct Row {
    const char* query;
    int selections;
    std::size_t series;
  };
  const Row row = GENERATE(
      Row{"a", 1, 3}, Row{"a / (a + b)", 2, 3}, Row{"a > 0 and a < 5e9", 1, 3},
      Row{"rate(a[5m]) / rate(a[5m])", 1, 3},
      Row{"sum(rate(a[5m])) / sum(rate(a[6m]))", 2, 1},
      Row{"a / (a offset 1m)", 2, 3}, Row{"a - a @ 600", 2, 3},
      Row{"sum(a) / count(a)", 1, 1},
      Row{"a / on (i) group_left () sum by (i) (a)", 1, 3},
      Row{"timestamp(a) + a", 2, 3},
      Row{"max_over_time(rate(a[5m])[10m:1m]) - "
          "min_over_time(rate(a[5m])[10m:1m])",
          1, 3},
      Row{"max_over_time(rate(a[5m])[10m:1m]) - rate(a[5m])", 2, 3},
      Row{"(a) + (a) + (a) + (a)", 1, 3},
      Row{"(a + b) / (a + b) + (a + b)", 2, 3}, Row{"sum(a) + sum(a)", 1, 1});
  INFO(row.query);
  CountingStorage storage;
  const QueryResult result = Run(storage, row.query);
  CHECK(storage.selections == row.selections);
  CHECK(result.value.matrix.size() == row.series);
}

TEST_CASE("a result that is taken twice is the same twice") {
  CountingStorage storage;
  const QueryResult result = Run(storage, "a / (a + b) * (a + b) - a");
  REQUIRE(result.value.matrix.size() == 3);
  for (const MatrixSeries& series : result.value.matrix) {
    for (const double value : series.samples.values) {
      CHECK(value == Approx(0).margin(1e-9));
    }
  }
}

TEST_CASE("a shared result counts and warns as if it had been repeated") {
  CountingStorage storage;
  const QueryResult once = Run(storage, "rate(a[5m])");
  const QueryResult twice = Run(storage, "rate(a[5m]) +  rate(a[5m])");
  CHECK(twice.stats.total_samples == 2 * once.stats.total_samples);
  CHECK(twice.stats.samples_read == once.stats.samples_read);
  REQUIRE(twice.infos.size() == 1);
  // The position of the last one, as ever.
  CHECK(twice.infos[0].find("(1:21)") != std::string::npos);
}

TEST_CASE("an explained query says which node took the result of another") {
  CountingStorage storage;
  const QueryResult result = Run(storage, "a / (a + b)", true);
  // The division, a, the parentheses, the sum, a, b.
  REQUIRE(result.explained.size() == 6);
  CHECK_FALSE(result.explained[1].trace.same_as.has_value());
  REQUIRE(result.explained[4].trace.same_as.has_value());
  CHECK(*result.explained[4].trace.same_as == 1);
  CHECK(result.explained[4].trace.columns == 3);
  CHECK(result.explained[4].trace.samples_read == 0);
}

}  // namespace narthex::promql
