#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "libs/base/float_format.h"
#include "libs/promql/engine.h"
#include "libs/promql/quantile.h"
#include "libs/storage/memory_storage.h"

namespace narthex::promql {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The only element of an instant vector at 10m over `m`, one sample a minute:
/// 0 10 20 30 0 10 NaN 20 20 20 50.
std::string ValueOf(const std::string& query) {
  storage::MemoryStorage storage;
  model::SampleColumns samples;
  std::int64_t minute = 0;
  for (const double value : {0.0, 10.0, 20.0, 30.0, 0.0, 10.0,
                             model::NormalNan(), 20.0, 20.0, 20.0, 50.0}) {
    samples.Append(60'000 * minute++, value);
  }
  storage.Add({{"__name__", "m"}}, samples);
  EngineOptions options;
  options.parser = ParserOptions::All();
  Engine engine(options, base::Clock::System());
  const auto result = engine.Instant(storage, query, 600'000);
  if (!result.ok()) return std::string(result.status().message());
  if (result->value.type == ValueType::kScalar) {
    return base::FormatFloat(result->value.scalar);
  }
  if (result->value.vector.empty()) return "nothing";
  return base::FormatFloat(result->value.vector[0].value);
}

TEST_CASE("functions give what Prometheus gives") {
  struct Row {
    const char* query;
    const char* value;
  };
  const std::vector<Row> rows{
      {"count_over_time(m[5m])", "5"},
      {"sum_over_time(m[4m])", "110"},
      {"min_over_time(m[5m])", "20"},
      {"max_over_time(m[11m])", "50"},
      {"avg_over_time(m[4m])", "27.5"},
      {"sum_over_time(m[5m])", "NaN"},
      {"quantile_over_time(0.5, m[4m])", "20"},
      {"stdvar_over_time(m[2m])", "225"},
      {"last_over_time(m[3m])", "50"},
      {"first_over_time(m[3m])", "20"},
      {"ts_of_max_over_time(m[4m])", "600"},
      {"ts_of_min_over_time(m[4m])", "540"},
      {"mad_over_time(m[4m])", "0"},
      {"mad_over_time(m[5m])", "NaN"},
      {"changes(m[4m])", "1"},
      {"changes(m[5m])", "2"},
      {"resets(m[11m])", "1"},
      {"delta(m[2m])", "60"},
      {"idelta(m[2m])", "30"},
      {"irate(m[2m])", "0.5"},
      {"increase(m[4m] offset 7m)", "30"},
      {"increase(m[1m])", "nothing"},
      {"deriv(m[2m])", "0.5"},
      {"predict_linear(m[2m], 60)", "80"},
      {"double_exponential_smoothing(m[2m], 1, 0.5)",
       "invalid smoothing factor. Expected: 0 < sf < 1, got: 1.000000"},
      {"absent_over_time(m[2m])", "nothing"},
      {"absent_over_time(n[2m])", "1"},
      {"absent(n)", "1"},
      {"clamp(m, 0, 7)", "7"},
      {"clamp(m, 7, 0)", "nothing"},
      {"clamp_min(m, NaN)", "NaN"},
      {"round(m / 15)", "3"},
      {"round(m / 15, 0.5)", "3.5"},
      {"sgn(-m)", "-1"},
      {"scalar(n)", "NaN"},
      {"scalar(m)", "50"},
      {"timestamp(m offset 1m)", "540"},
      {"timestamp(-m)", "600"},
      {"hour(vector(86399))", "23"},
      {"minute(vector(-1))", "59"},
      {"day_of_week(vector(0))", "4"},
      {"day_of_week(vector(-86400))", "3"},
      {"day_of_year(vector(1709164800))", "60"},
      {"days_in_month(vector(1709164800))", "29"},
      {"month(vector(-1))", "12"},
      {"year(vector(-1))", "1969"},
      {"max_of(1, NaN)", "NaN"},
      {"min_of(-Inf, NaN)", "-Inf"},
      {"m % 7", "1"},
      {"-7 % 3", "-1"},
      {"2 ^ 3 ^ 2", "512"},
      {"m > bool 49", "1"},
      {"m > 50", "nothing"},
      {"49 < m", "50"},
      {"m </ 3", "nothing"},
  };
  for (const Row& row : rows) {
    INFO(row.query);
    CHECK(ValueOf(row.query) == row.value);
  }
}

TEST_CASE("functions of time survive any number") {
  for (const char* value : {"NaN", "Inf", "-Inf", "1e300", "-1e300"}) {
    for (const char* function :
         {"minute", "hour", "day_of_week", "day_of_month", "day_of_year",
          "days_in_month", "month", "year"}) {
      INFO(function << " " << value);
      CHECK(ValueOf(std::string(function) + "(vector(" + value + "))") !=
            "nothing");
    }
  }
}

TEST_CASE("quantiles interpolate between neighbours") {
  std::vector<double> values{3, 1, 2, 4};
  CHECK(Quantile(0.5, &values) == 2.5);
  CHECK(Quantile(0, &values) == 1);
  CHECK(Quantile(1, &values) == 4);
  CHECK(Quantile(-0.1, &values) == -kInfinity);
  CHECK(Quantile(1.1, &values) == kInfinity);
  std::vector<double> with_nan{1, std::nan(""), 0};
  CHECK(Quantile(0.75, &with_nan) == 0.5);
  std::vector<double> none;
  CHECK(std::isnan(Quantile(0.5, &none)));
}

TEST_CASE("buckets that do not grow are levelled and reported") {
  std::vector<Bucket> buckets{{1, 5}, {2, 4}, {kInfinity, 8}};
  const BucketQuantileResult result = BucketQuantile(0.5, &buckets);
  CHECK(result.forced_monotonicity);
  CHECK(result.min_bucket == 2);
  CHECK(result.max_difference == 1);
  CHECK(result.quantile == 0.8);

  std::vector<Bucket> no_end{{1, 5}, {2, 6}};
  CHECK(std::isnan(BucketQuantile(0.5, &no_end).quantile));
  std::vector<Bucket> plain{{1, 5}, {2, 10}, {kInfinity, 10}};
  CHECK(BucketFraction(0.5, 1.5, &plain) == 0.5);
}

}  // namespace
}  // namespace narthex::promql
