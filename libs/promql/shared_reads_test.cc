#include "libs/promql/shared_reads.h"

#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "libs/base/clock.h"
#include "libs/base/task_pool.h"
#include "libs/promql/counted_selections.h"
#include "libs/promql/engine.h"

namespace narthex::promql {
namespace {

constexpr std::int64_t kMinuteMs = 60'000;

model::HistogramPtr SomeHistogram(double count) {
  model::FloatHistogram histogram;
  histogram.count = count;
  histogram.sum = 2 * count;
  histogram.zero_count = count;
  return std::make_shared<const model::FloatHistogram>(histogram);
}

/// Counters `a` with gaps, staleness markers, resets and now and then a
/// histogram.
class CountingStorage : public CountedSelections {
 public:
  explicit CountingStorage(int series = 8) {
    std::mt19937 random(1);
    for (int i = 0; i < series; ++i) {
      model::SampleColumns samples;
      double value = 0;
      for (int t = 0; t < 120; ++t) {
        const auto roll = random() % 40;
        value = roll == 0 ? 0 : value + static_cast<double>(random() % 9);
        if (roll == 1 || (i == 1 && t > 60)) continue;
        const std::int64_t time_ms = t * kMinuteMs / 4;
        if (roll == 2) {
          samples.Append(time_ms, Absent());
        } else if (i % 4 == 3 && roll < 30) {
          samples.Append(time_ms, SomeHistogram(value));
        } else {
          samples.Append(time_ms, value);
        }
      }
      Add(model::Labels({{"__name__", "a"}, {"i", absl::StrCat(i)}}), samples);
    }
  }
};

QueryResult Run(CountingStorage& storage, const std::string& query,
                std::int64_t step_ms, bool explain = false,
                base::TaskPool* helpers = nullptr) {
  EngineOptions engine_options;
  engine_options.helpers = helpers;
  engine_options.parser.experimental_functions = true;
  Engine engine(engine_options, base::Clock::System());
  QueryOptions options;
  options.explain = explain;
  auto result = step_ms == 0
                    ? engine.Instant(storage, query, 20 * kMinuteMs, options)
                    : engine.Range(storage, query, 7 * kMinuteMs,
                                   31 * kMinuteMs, step_ms, options);
  INFO(query << ": " << result.status().ToString());
  REQUIRE(result.ok());
  return *std::move(result);
}

/// All of a value, exactly.
std::string TextOf(const Value& value) {
  std::string text;
  for (const auto& sample : value.vector) {
    absl::StrAppend(&text, sample.labels.ToString(), " ", sample.value, "\n");
  }
  for (const MatrixSeries& series : value.matrix) {
    absl::StrAppend(&text, series.labels.ToString());
    for (std::size_t i = 0; i < series.samples.size(); ++i) {
      absl::StrAppend(&text, " ", series.samples.timestamps_ms[i], ":",
                      series.samples.values[i]);
      if (!series.samples.histograms.empty() &&
          series.samples.histograms[i] != nullptr) {
        absl::StrAppend(&text, "h", series.samples.histograms[i]->count);
      }
    }
    text += "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("operands that look at the same series read them once") {
  struct Row {
    const char* query;
    int selections;
  };
  const Row row = GENERATE(
      Row{"rate(a[5m]) / increase(a[5m])", 1},
      Row{"rate(a[5m]) / rate(a[10m])", 1}, Row{"a > avg_over_time(a[5m])", 1},
      Row{"max_over_time(a[5m]) - (min_over_time(a[5m]))", 1},
      Row{"(max_over_time(a[5m]) - min_over_time(a[5m])) / "
          "avg_over_time(a[5m])",
          1},
      Row{"a > 5 and rate(a[5m]) * 60 < 9 unless -idelta(a[1m]) > 0", 1},
      Row{"quantile_over_time(0.9, a[5m]) - quantile_over_time(0.1, a[5m])", 1},
      Row{"sum(rate(a[5m]) / increase(a[5m]))", 1},
      Row{"rate(a[5m] @ 600) / increase(a[5m] @ 600)", 1},
      // Other series or other times.
      Row{"rate(a[5m]) / increase(a{i!=''}[5m])", 2},
      Row{"rate(a[5m]) / increase(a[5m] offset 1m)", 2}, Row{"a - a @ 600", 2},
      Row{"rate(a[5m]) - rate(a[5m] @ 600)", 2},
      // What would have to be held otherwise is not.
      Row{"sum(rate(a[5m])) / sum(increase(a[5m]))", 2},
      // Their results are not made of single series.
      Row{"absent_over_time(a[5m]) or a", 2}, Row{"timestamp(a) - a", 2},
      Row{"max_over_time(a[5m:1m]) - a", 2},
      Row{"quantile_over_time(scalar(a), a[5m]) or a", 2});
  INFO(row.query);
  CountingStorage storage;
  Run(storage, row.query, kMinuteMs);
  CHECK(storage.selections == row.selections);
}

TEST_CASE("what is read together gives what is read apart") {
  const std::string query = GENERATE(
      "rate(X[5m]) / increase(Y[3m])", "Y > avg_over_time(X[9m])",
      "X >= bool last_over_time(Y[9m])",
      "max_over_time(Y[2m]) - min_over_time(X[20m])",
      "changes(X[5m]) + Y + resets(X[6m]) * count_over_time(Y[1m])",
      "Y == last_over_time(X[5m]) or deriv(X[4m])",
      "Y unless present_over_time(X[30s])", "X or sum_over_time(Y[3m])",
      "(rate(X[5m]) / Y) or (idelta(X[2m]) / stddev_over_time(Y[2m]))",
      "quantile_over_time(0.9, X[5m]) - quantile_over_time(0.1, Y[5m])",
      "max_over_time((rate(X[5m]) - rate(Y[2m]))[10m:1m])",
      "absent_over_time(X[5m]) or -X + Y", "rate(X[2m] @ 900) - X",
      "delta(X[5m] offset 2m) - X offset 2m",
      "(rate(X[5m]) + Y) / (rate(X[5m]) + increase(Y[5m]))");
  const std::int64_t step_ms = GENERATE(0, 7'000, 60'000, 600'000);
  INFO(query << " every " << step_ms);
  CountingStorage storage;
  const auto with = [&](const char* x, const char* y) {
    return absl::StrReplaceAll(query, {{"X", x}, {"Y", y}});
  };
  const QueryResult together = Run(storage, with("a", "a"), step_ms);
  const int selections = storage.selections;
  const QueryResult apart = Run(storage, with("a", "a{i!='x'}"), step_ms);
  CHECK(selections <= storage.selections - selections);
  CHECK(TextOf(together.value) == TextOf(apart.value));
  CHECK(together.stats.total_samples == apart.stats.total_samples);
  CHECK(together.warnings.size() == apart.warnings.size());
  CHECK(together.infos.size() == apart.infos.size());
}

TEST_CASE("many series are read together with the help of other threads") {
  CountingStorage storage(5'000);
  base::TaskPool helpers(3);
  const std::string query = "rate(a[5m]) / increase(a[3m]) + a";
  const QueryResult alone = Run(storage, query, 15'000);
  const QueryResult helped = Run(storage, query, 15'000, false, &helpers);
  CHECK(storage.selections == 2);
  CHECK(TextOf(alone.value) == TextOf(helped.value));
  CHECK(alone.stats.total_samples == helped.stats.total_samples);
  CHECK(alone.stats.samples_read == helped.stats.samples_read);
}

TEST_CASE("an explained query says which nodes were read with another") {
  CountingStorage storage;
  const QueryResult result =
      Run(storage, "rate(a[5m]) / increase(a[5m])", kMinuteMs, true);
  // The division, rate, its range, its selector, increase, ...
  REQUIRE(result.explained.size() == 7);
  CHECK_FALSE(result.explained[1].trace.same_as.has_value());
  REQUIRE(result.explained[4].trace.same_as.has_value());
  CHECK(*result.explained[4].trace.same_as == 1);
  CHECK(result.explained[4].trace.samples_read == 0);
  CHECK(result.explained[4].trace.columns > 0);
}

}  // namespace narthex::promql
