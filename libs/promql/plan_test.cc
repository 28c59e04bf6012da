#include "libs/promql/plan.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/status.h"
#include "libs/model/histogram_buckets.h"
#include "libs/promql/engine.h"
#include "libs/promql/fragment.h"
#include "libs/promql/series_description.h"
#include "libs/storage/memory_storage.h"

namespace narthex::promql {
namespace {

constexpr std::int64_t kMinuteMs = 60'000;

/// Storages in this process, as places that evaluate fragments.
class Places : public FragmentEvaluator {
 public:
  explicit Places(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      storages_.push_back(std::make_unique<storage::MemoryStorage>());
    }
  }
  storage::MemoryStorage& at(std::size_t i) { return *storages_[i]; }

  std::size_t places() const override { return storages_.size(); }
  absl::StatusOr<std::vector<FragmentReply>> Evaluate(
      const Fragment& fragment, ColumnSink sink) override {
    if (refuses) return absl::UnimplementedError("not here");
    std::vector<FragmentReply> replies;
    for (const auto& storage : storages_) {
      NARTHEX_ASSIGN_OR_RETURN(
          FragmentReply reply,
          EvaluateFragment(fragment, *storage, base::Clock::System(), sink));
      replies.push_back(std::move(reply));
    }
    return replies;
  }

  bool refuses = false;

 private:
  std::vector<std::unique_ptr<storage::MemoryStorage>> storages_;
};

EngineOptions WithExperiments() {
  EngineOptions options;
  options.parser.experimental_functions = true;
  return options;
}

/// The same series in one storage and spread over places.
struct World {
  explicit World(std::size_t count) : places(count) {
    for (int i = 0; i < 24; ++i) {
      model::SampleColumns samples;
      for (int t = 0; t < 40; ++t) {
        if ((t + i) % 11 == 0) continue;
        samples.Append(t * 20'000, (i + 1) * 0.1 * t + (t > 25 ? -i : 0));
      }
      const model::Labels labels{
          {"__name__", i % 2 == 0 ? "requests_total" : "errors_total"},
          {"job", absl::StrCat("job", i % 3)},
          {"instance", absl::StrCat("i", i / 2)}};
      all.Add(labels, samples);
      places.at(static_cast<std::size_t>(i) % count).Add(labels, samples);
    }
  }

  QueryResult Range(const std::string& query, bool pushed) {
    QueryOptions options;
    options.fragments = pushed ? &places : nullptr;
    auto result =
        engine.Range(all, query, 0, 14 * kMinuteMs, kMinuteMs / 2, options);
    INFO(query << ": " << result.status().ToString());
    REQUIRE(result.ok());
    return *std::move(result);
  }

  storage::MemoryStorage all;
  Places places;
  Engine engine{WithExperiments(), base::Clock::System()};
};

void CheckEqual(const QueryResult& got, const QueryResult& wanted) {
  CHECK(got.warnings == wanted.warnings);
  CHECK(got.infos == wanted.infos);
  REQUIRE(got.value.matrix.size() == wanted.value.matrix.size());
  for (std::size_t i = 0; i < wanted.value.matrix.size(); ++i) {
    const MatrixSeries& a = got.value.matrix[i];
    const MatrixSeries& b = wanted.value.matrix[i];
    CHECK(a.labels == b.labels);
    REQUIRE(a.samples.timestamps_ms == b.samples.timestamps_ms);
    for (std::size_t k = 0; k < b.samples.size(); ++k) {
      CHECK(a.samples.values[k] ==
            Approx(b.samples.values[k]).epsilon(1e-12).margin(1e-12));
    }
  }
}

}  // namespace

TEST_CASE("what is evaluated in places is what one storage would give") {
  const std::size_t count = GENERATE(1, 2, 5);
  const std::string query = GENERATE(
      "requests_total", "rate(requests_total[5m])",
      "sum by (job) (rate(requests_total[5m]))", "sum(errors_total)",
      "count by (job) (requests_total)", "avg by (job) (requests_total)",
      "min without (instance) (requests_total)", "max(requests_total)",
      "group by (job) (errors_total)", "topk(2, requests_total)",
      "avg(rate(requests_total[5m]))", "avg without (job) (errors_total)",
      "limitk(3, requests_total)", "limitk by (job) (1, errors_total > 0)",
      "limitk(2, last_over_time(errors_total[2m]))",
      "limitk(2, rate(requests_total[5m]))", "limit_ratio(0.4, requests_total)",
      "limit_ratio(-2, requests_total)",
      "count_values by (job) (\"v\", requests_total > bool 2)",
      "stdvar by (job) (errors_total)",
      "bottomk by (job) (1, rate(errors_total[3m]))",
      "quantile(0.5, requests_total)", "stddev(requests_total)",
      "count_values(\"v\", group by (instance) (requests_total))",
      "sum(rate(errors_total[5m])) / sum(rate(requests_total[5m]))",
      "requests_total > 2", "2 * requests_total", "-requests_total",
      "requests_total + on (instance) group_left () errors_total",
      "requests_total and on (job, instance) errors_total > 0.5",
      "requests_total / rate(requests_total[5m])",
      "sum by (job) (errors_total > errors_total offset 1m)",
      "requests_total{job!=\"job1\"} unless (2 + requests_total) > 3",
      "topk(2, max_over_time(errors_total[3m]) - "
      "min_over_time(errors_total[3m]))",
      "{__name__=~\".*_total\",instance=\"i1\"} + requests_total",
      "absent(nothing)", "absent_over_time(requests_total[1m])",
      "max_over_time(sum(rate(requests_total[2m]))[5m:30s])",
      "sum(requests_total @ 300)", "sum(requests_total offset 2m)",
      "label_replace(sum by (job) (requests_total), \"j\", \"$1\", \"job\", "
      "\"(.).*\")",
      "scalar(sum(requests_total)) + errors_total",
      "sum by (__name__) (last_over_time({job=~\"job.\"}[2m]))",
      "timestamp(requests_total)", "sort_desc(requests_total)",
      "quantile_over_time(2, requests_total[3m])", "rate(errors_total[5m])",
      "vector(1) + sum(requests_total)");
  INFO(query << " in " << count << " places");
  World world(count);
  const QueryResult pushed = world.Range(query, true);
  CheckEqual(pushed, world.Range(query, false));
}

namespace {

/// Series whose sums are hard to get right, and which are not all numbers.
void FillWithOddities(World* world, const std::vector<std::string>& series) {
  for (std::size_t i = 0; i < series.size(); ++i) {
    const auto description = ParseSeriesDescription(series[i]);
    INFO(series[i] << ": " << description.status().ToString());
    REQUIRE(description.ok());
    model::SampleColumns samples;
    for (std::size_t t = 0; t < description->values.size(); ++t) {
      const SequenceValue& value = description->values[t];
      const auto time_ms = static_cast<std::int64_t>(t) * kMinuteMs;
      if (value.kind == SequenceValue::Kind::kHistogram) {
        samples.Append(time_ms, value.histogram);
      } else if (value.kind == SequenceValue::Kind::kFloat) {
        samples.Append(time_ms, value.value);
      }
    }
    world->all.Add(description->labels, samples);
    world->places.at(i % world->places.places())
        .Add(description->labels, samples);
  }
}

}  // namespace

TEST_CASE("annotations of several places are those of one") {
  World world(3);
  struct Row {
    const char* query;
    const char* position;
  };
  for (const Row& row :
       {Row{"quantile_over_time(2, requests_total[2m])", "1:20"},
        Row{"quantile_over_time(2, requests_total[2m]) + "
            "quantile_over_time(2, requests_total[2m])",
            "1:64"},
        Row{"quantile_over_time(2, requests_total[2m]) + "
            "quantile_over_time(2, requests_total[3m])",
            "1:64"},
        Row{"quantile_over_time(2, requests_total[2m]) + "
            "scalar(sum(quantile_over_time(2, requests_total[2m])))",
            "1:75"}}) {
    const QueryResult whole = world.Range(row.query, false);
    const QueryResult pushed = world.Range(row.query, true);
    REQUIRE(whole.warnings.size() == 1);
    CHECK(whole.warnings[0].find(row.position) != std::string::npos);
    CHECK(pushed.fragments.size() > 0);
    CheckEqual(pushed, whole);
  }
}

TEST_CASE("parts of sums and means make the whole exactly") {
  const std::size_t count = GENERATE(2, 3);
  const std::string query =
      GENERATE("sum(x)", "avg(x)", "sum by (g) (x)", "avg by (g) (x)",
               "count_values(\"v\", x)", "sum(x > 0)", "max(x)",
               "sum by (g) (rate(x[3m]))", "avg(x) - avg(x)");
  const std::vector<std::string> series = GENERATE(
      std::vector<std::string>{
          "x{i=\"1\",g=\"a\"} 1e16x10", "x{i=\"2\",g=\"b\"} 1x10",
          "x{i=\"3\",g=\"a\"} -1e16x10", "x{i=\"4\",g=\"b\"} 3.14159x10"},
      std::vector<std::string>{
          "x{i=\"1\",g=\"a\"} 1.5e308x10", "x{i=\"2\",g=\"b\"} 1e308x10",
          "x{i=\"3\",g=\"a\"} 1.7e308x10", "x{i=\"4\",g=\"b\"} -1e308x10"},
      std::vector<std::string>{
          "x{i=\"1\",g=\"a\"} Inf 1 NaN Inf -Inf", "x{i=\"2\",g=\"b\"} 1 2 3",
          "x{i=\"3\",g=\"a\"} Inf -Inf 1 _ 7", "x{i=\"4\",g=\"b\"} NaN 2 _ -0"},
      std::vector<std::string>{
          "x{i=\"1\",g=\"a\"} {{schema:0 sum:5 count:4 buckets:[1 2 1]}}x10",
          "x{i=\"2\",g=\"a\"} {{schema:1 sum:7 count:5 buckets:[2 2 1]}}x10",
          "x{i=\"3\",g=\"b\"} {{schema:0 sum:1 count:1 buckets:[1]}}x10",
          "x{i=\"4\",g=\"b\"} {{schema:0 sum:2 count:2 buckets:[1 1]}}x10"},
      std::vector<std::string>{
          "x{i=\"1\",g=\"a\"} {{schema:0 sum:5 count:4 buckets:[1 2 1]}}x10",
          "x{i=\"2\",g=\"a\"} 1 2 3 4", "x{i=\"3\",g=\"a\"} 4 3 2 1",
          "x{i=\"4\",g=\"b\"} {{schema:-53 sum:2 count:2 custom_values:[5 10] "
          "buckets:[1 1]}}x10",
          "x{i=\"5\",g=\"b\"} {{schema:0 sum:2 count:2 buckets:[1 1]}}x10",
          "x{i=\"6\",g=\"a\"} 9 9"});
  INFO(query << " of " << series[0] << " ... in " << count << " places");
  World world(count);
  FillWithOddities(&world, series);
  const QueryResult pushed = world.Range(query, true);
  const QueryResult whole = world.Range(query, false);

  CHECK(pushed.warnings == whole.warnings);
  CHECK(pushed.infos == whole.infos);
  REQUIRE(pushed.value.matrix.size() == whole.value.matrix.size());
  for (std::size_t i = 0; i < whole.value.matrix.size(); ++i) {
    const MatrixSeries& a = pushed.value.matrix[i];
    const MatrixSeries& b = whole.value.matrix[i];
    CHECK(a.labels == b.labels);
    REQUIRE(a.samples.timestamps_ms == b.samples.timestamps_ms);
    REQUIRE(a.samples.histograms.size() == b.samples.histograms.size());
    for (std::size_t k = 0; k < b.samples.size(); ++k) {
      const bool is_histogram =
          !b.samples.histograms.empty() && b.samples.histograms[k] != nullptr;
      if (is_histogram) {
        REQUIRE(a.samples.histograms[k] != nullptr);
        CHECK(model::ToString(*a.samples.histograms[k]) ==
              model::ToString(*b.samples.histograms[k]));
        continue;
      }
      const double got = a.samples.values[k];
      const double wanted = b.samples.values[k];
      if (std::isnan(wanted) || std::isinf(wanted)) {
        CHECK(((std::isnan(got) && std::isnan(wanted)) || got == wanted));
      } else {
        CHECK(got == Approx(wanted).epsilon(1e-12).margin(0));
      }
    }
  }
}

TEST_CASE("with one place the whole vector is evaluated there") {
  World world(1);
  const QueryResult result =
      world.Range("sum(rate(requests_total[5m])) / 2", true);
  REQUIRE(result.fragments.size() == 1);
  CHECK(result.fragments[0].node == 0);
  CHECK(result.fragments[0].columns == 1);
  CHECK(result.stats.series_read == 12);
}

TEST_CASE("operators on the same series are evaluated where these are") {
  struct Row {
    const char* query;
    std::size_t fragments;
  };
  const Row row = GENERATE(
      Row{"sum(requests_total / rate(requests_total[5m]))", 1},
      Row{"requests_total{job=\"job1\"} - requests_total offset 1m", 1},
      Row{"requests_total and rate(requests_total[5m]) > 0", 1},
      Row{"requests_total - errors_total", 2},
      Row{"requests_total or rate(requests_total[5m])", 2},
      Row{"requests_total - on (job, instance) requests_total offset 1m", 2});
  INFO(row.query);
  World world(3);
  const QueryResult result = world.Range(row.query, true);
  CHECK(result.fragments.size() == row.fragments);
}

TEST_CASE("a query that places refuse is evaluated over selections") {
  World world(3);
  const QueryResult wanted = world.Range("sum(requests_total)", false);
  world.places.refuses = true;
  const QueryResult got = world.Range("sum(requests_total)", true);
  CheckEqual(got, wanted);
  CHECK(got.fragments.empty());
}

TEST_CASE("a fragment that is another node here is refused") {
  World world(1);
  Fragment fragment;
  fragment.expression = "sum(requests_total)";
  fragment.node = 1;
  fragment.node_text = "sum(requests_total)";
  const auto reply =
      EvaluateFragment(fragment, world.all, base::Clock::System(),
                       [](Column&) { return absl::OkStatus(); });
  CHECK(absl::IsUnimplemented(reply.status()));
}

TEST_CASE("an explained query tells what each node cost, and where") {
  World world(2);
  QueryOptions options;
  options.fragments = &world.places;
  options.explain = true;
  const auto result = world.engine.Instant(
      world.all, "sum(requests_total) + on () sum(errors_total)", kMinuteMs,
      options);
  REQUIRE(result.ok());
  REQUIRE(result->explained.size() == 5);
  CHECK_FALSE(result->explained[0].is_fragment);
  CHECK(result->explained[0].is_evaluated);
  CHECK(result->explained[1].is_fragment);
  CHECK(result->explained[1].text == "sum(requests_total)");
  CHECK(result->explained[2].depth == 2);
  REQUIRE(result->fragments.size() == 2);
  REQUIRE(result->fragments[0].replies.size() == 2);
  const auto& nodes = result->fragments[0].replies[0].nodes;
  REQUIRE(nodes.size() == 2);
  CHECK(nodes[1].node == 2);
  CHECK(nodes[1].series_read == 12);
}

TEST_CASE("samples that come from several places count once") {
  World world(3);
  QueryOptions pushed;
  pushed.fragments = &world.places;
  struct Row {
    const char* query;
    std::int64_t max_samples;
  };
  // The vectors have 12 series of at most 29 steps; groups are held while
  // their results are handed on.
  for (const Row& row :
       {Row{"requests_total", 400}, Row{"rate(requests_total[2m])", 400},
        Row{"max by (instance) (requests_total)", 800},
        Row{"count by (instance) (requests_total)", 400},
        Row{"sum by (instance) (requests_total)", 800}}) {
    EngineOptions options;
    options.max_samples = row.max_samples;
    Engine engine(options, base::Clock::System());
    const auto result = engine.Range(world.all, row.query, 0, 14 * kMinuteMs,
                                     kMinuteMs / 2, pushed);
    INFO(row.query << ": " << result.status().ToString());
    REQUIRE(result.ok());
    CHECK(result->fragments.size() == 1);
  }
}

TEST_CASE("a query that takes too much memory fails and says so") {
  World world(1);
  EngineOptions options;
  options.max_bytes = 2'000;
  Engine engine(options, base::Clock::System());
  const auto result = engine.Range(world.all, "requests_total", 0,
                                   14 * kMinuteMs, kMinuteMs / 2);
  CHECK(absl::IsFailedPrecondition(result.status()));
  CHECK(std::string(result.status().message()).find("--query.max-memory") !=
        std::string::npos);
}

}  // namespace narthex::promql
