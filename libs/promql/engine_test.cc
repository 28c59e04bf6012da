#include "libs/promql/engine.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/task_pool.h"
#include "libs/model/sample.h"
#include "libs/promql/series_description.h"
#include "libs/storage/memory_storage.h"

namespace narthex::promql {
namespace {

constexpr std::int64_t kStepMs = 60'000;

/// An engine over series described as in test scripts, one value a minute.
class Fixture {
 public:
  explicit Fixture(const std::vector<std::string>& series,
                   EngineOptions options = {})
      : engine(options, clock) {
    for (const std::string& text : series) {
      const auto description = ParseSeriesDescription(text);
      REQUIRE(description.ok());
      model::SampleColumns samples;
      for (std::size_t i = 0; i < description->values.size(); ++i) {
        if (description->values[i].kind == SequenceValue::Kind::kOmitted) {
          continue;
        }
        samples.Append(static_cast<std::int64_t>(i) * kStepMs,
                       description->values[i].value);
      }
      storage.Add(description->labels, samples);
    }
  }

  /// The instant vector as lines "{labels} value".
  std::vector<std::string> Lines(const std::string& query,
                                 std::int64_t time_ms) {
    const auto result = engine.Instant(storage, query, time_ms);
    INFO(result.status().ToString());
    REQUIRE(result.ok());
    std::vector<std::string> lines;
    for (const VectorSample& sample : result->value.vector) {
      lines.push_back(
          absl::StrCat(sample.labels.ToString(), " ", sample.value));
    }
    return lines;
  }

  absl::Status Failure(const std::string& query, std::int64_t time_ms) {
    return engine.Instant(storage, query, time_ms).status();
  }

  base::FakeClock clock{0};
  storage::MemoryStorage storage;
  Engine engine;
};

using Lines = std::vector<std::string>;

TEST_CASE("an instant query gives each type of value") {
  Fixture f({R"(m{a="1"} 0+1x10)"});

  const auto scalar = f.engine.Instant(f.storage, "1 + 2", 5000);
  REQUIRE(scalar.ok());
  CHECK(scalar->value.type == ValueType::kScalar);
  CHECK(scalar->value.scalar == 3);
  CHECK(scalar->value.timestamp_ms == 5000);

  const auto text = f.engine.Instant(f.storage, R"("x")", 0);
  REQUIRE(text.ok());
  CHECK(text->value.type == ValueType::kString);
  CHECK(text->value.text == "x");

  const auto matrix = f.engine.Instant(f.storage, "m[2m]", 5 * kStepMs);
  REQUIRE(matrix.ok());
  CHECK(matrix->value.type == ValueType::kMatrix);
  REQUIRE(matrix->value.matrix.size() == 1);
  // The range is open at its left end.
  CHECK(matrix->value.matrix[0].samples.values == std::vector<double>{4, 5});

  CHECK(f.Lines("m", 5 * kStepMs) == Lines{R"({__name__="m", a="1"} 5)"});
}

TEST_CASE("a range query gives a value for every step that has one") {
  Fixture f({R"(m 1 _ _ _ _ _ _ 8)"});
  const auto result =
      f.engine.Range(f.storage, "m * 10", 0, 8 * kStepMs, 2 * kStepMs);
  REQUIRE(result.ok());
  CHECK(result->value.type == ValueType::kMatrix);
  REQUIRE(result->value.matrix.size() == 1);
  const model::SampleColumns& samples = result->value.matrix[0].samples;
  // The look-back of five minutes ends before the fifth is reached.
  CHECK(samples.timestamps_ms ==
        std::vector<std::int64_t>{0, 120'000, 240'000, 480'000});
  CHECK(samples.values == std::vector<double>{10, 10, 10, 80});
}

TEST_CASE("a staleness marker ends a series at once") {
  Fixture f({"m 1 stale _ 4"});
  CHECK(f.Lines("m", 0).size() == 1);
  CHECK(f.Lines("m", kStepMs).empty());
  CHECK(f.Lines("m", 2 * kStepMs).empty());
  CHECK(f.Lines("count_over_time(m[10m])", 3 * kStepMs) == Lines{"{} 2"});
}

TEST_CASE("errors say by their code what went wrong") {
  EngineOptions options;
  options.max_samples = 3;
  Fixture f({R"(m{a="1"} 1)", R"(m{a="2"} 2)", R"(n{a="1"} 0+1x9)"}, options);

  CHECK(absl::IsInvalidArgument(f.Failure("m{", 0)));
  CHECK(absl::IsFailedPrecondition(f.Failure("m + on() m", 0)));
  const absl::Status too_many = f.Failure("n[10m]", 9 * kStepMs);
  CHECK(absl::IsFailedPrecondition(too_many));
  CHECK(too_many.message() ==
        "query processing would load too many samples into memory in query "
        "execution");
  // More steps than samples are allowed are refused before they take memory.
  CHECK(absl::IsFailedPrecondition(
      f.Failure("count_over_time(m[100y:1ms])", 9 * kStepMs)));
  const auto range = f.engine.Range(f.storage, "m[5m]", 0, 10, 1);
  CHECK(absl::IsInvalidArgument(range.status()));

  std::atomic<bool> cancelled = true;
  QueryOptions query;
  query.cancelled = &cancelled;
  const auto result = f.engine.Instant(f.storage, "m", 0, query);
  CHECK(absl::IsCancelled(result.status()));
}

TEST_CASE("values that an aggregation keeps count against the limits") {
  std::vector<std::string> series;
  for (int i = 0; i < 20; ++i) {
    series.push_back(absl::StrCat("m{i=\"", i, "\"} ", 1000 * i, "+1x999"));
  }
  const auto failure = [&](const EngineOptions& options, const char* query) {
    Fixture f(series, options);
    return f.engine.Range(f.storage, query, 0, 999 * kStepMs, kStepMs).status();
  };
  // 20 series of 1,000 values.
  EngineOptions few;
  few.max_samples = 18'000;
  EngineOptions enough;
  enough.max_samples = 25'000;
  for (const char* query :
       {R"(count(count_values("v", m)))", "quantile(0.5, m)"}) {
    INFO(query);
    CHECK(absl::IsFailedPrecondition(failure(few, query)));
    CHECK(failure(enough, query).ok());
  }
  // Each of the 20,000 values is there at one step of a thousand.
  enough.max_bytes = 20'000'000;
  CHECK(failure(enough, R"(count(count_values("v", m)))").ok());
  few.max_samples = 50'000;
  few.max_bytes = 200'000;
  CHECK(absl::IsFailedPrecondition(
      failure(few, R"(count(count_values("v", m)))")));
}

TEST_CASE("scalars count against the limits while they are held") {
  constexpr const char* kQuery =
      "sum_over_time(vector(time()+(time()+(time()+time())))[1000s:1s])";
  const auto failure = [&](const EngineOptions& options) {
    return Fixture({}, options).Failure(kQuery, 1'000'000);
  };
  EngineOptions options;
  options.max_samples = 4'000;
  CHECK(failure(options).ok());
  options.max_samples = 3'500;
  CHECK(absl::IsFailedPrecondition(failure(options)));
  options.max_samples = 4'000;
  options.max_bytes = 30'000;
  CHECK(absl::IsFailedPrecondition(failure(options)));
}

TEST_CASE("a query has its turn when others leave room for it") {
  storage::MemoryStorage storage;
  EngineOptions options;
  options.max_concurrency = 1;
  Engine engine(options, base::Clock::System());
  std::weak_ptr<void> during;
  bool second_had_turn = false;
  QueryOptions second;
  second.timeout_ms = 1;
  second.on_turn = [&]() -> std::shared_ptr<void> {
    second_had_turn = true;
    return nullptr;
  };
  QueryOptions first;
  first.on_turn = [&]() -> std::shared_ptr<void> {
    CHECK(absl::IsDeadlineExceeded(
        engine.Instant(storage, "1", 0, second).status()));
    const auto token = std::make_shared<int>(1);
    during = token;
    return token;
  };
  CHECK(engine.Instant(storage, "1", 0, first).ok());
  CHECK_FALSE(second_had_turn);
  CHECK(during.expired());
}

TEST_CASE("a query ends at its deadline") {
  EngineOptions options;
  options.timeout_ms = 0;
  Fixture f({"m 1"}, options);
  CHECK(absl::IsDeadlineExceeded(f.Failure("m", 0)));
}

TEST_CASE("a query ends at its deadline inside a long series, too") {
  // Every look at it takes a millisecond.
  class Ticking : public base::FakeClock {
   public:
    using FakeClock::FakeClock;
    std::int64_t MonotonicNs() const override { return 1'000'000 * ++ticks_; }

   private:
    mutable std::atomic<std::int64_t> ticks_{0};
  };
  const auto failure = [](const char* query) {
    Ticking clock(0);
    storage::MemoryStorage storage;
    EngineOptions options;
    options.timeout_ms = 15;
    Engine engine(options, clock);
    return engine.Instant(storage, query, 4'000'000'000).status();
  };
  constexpr const char* kShort =
      "sum_over_time((vector(time()) * time())[3000s:1s])";
  CHECK(failure(kShort).ok());
  constexpr const char* kLong =
      "sum_over_time((vector(time()) * time())[3000000s:1s])";
  CHECK(absl::IsDeadlineExceeded(failure(kLong)));
}

TEST_CASE("a match that is not unique names both series") {
  Fixture f({R"(a{x="1"} 1)", R"(b{x="1",y="1"} 2)", R"(b{x="1",y="2"} 3)"});
  CHECK(f.Failure("a + on(x) b", 0).message() ==
        "found duplicate series for the match group {x=\"1\"} on the right "
        "hand-side of the operation: [{__name__=\"b\", x=\"1\", y=\"1\"}, "
        "{__name__=\"b\", x=\"1\", y=\"2\"}];many-to-many matching not "
        "allowed: matching labels must be unique on one side");
  CHECK(f.Failure("b + on(x) a", 0).message() ==
        "multiple matches for labels: many-to-one matching must be explicit "
        "(group_left/group_right)");
  CHECK(f.Lines("b + on(x) group_left a", 0) ==
        Lines{R"({x="1", y="1"} 3)", R"({x="1", y="2"} 4)"});
}

TEST_CASE("dropping the name must not make two series of one") {
  Fixture f({R"(a{x="1"} 1)", R"(b{x="1"} 2)"});
  const std::string both = R"({__name__=~"a|b"})";
  CHECK(f.Failure(absl::StrCat("-", both), 0).message() ==
        "vector cannot contain metrics with the same labelset");
  CHECK_FALSE(
      f.Failure(absl::StrCat("count_over_time(", both, "[5m])"), 0).ok());
  CHECK(f.Lines("-a", 0) == Lines{R"({x="1"} -1)"});
}

TEST_CASE("sums keep what plain addition loses") {
  Fixture f({R"(m{i="1"} 2)", R"(m{i="2"} 1e100)", R"(m{i="3"} -1e100)",
             R"(big{i="1"} 1e308)", R"(big{i="2"} 1e308)",
             R"(t 1 1e100 1 -1e100)"});
  CHECK(f.Lines("sum(m)", 0) == Lines{"{} 2"});
  CHECK(f.Lines("avg(big)", 0) == Lines{"{} 1e+308"});
  CHECK(f.Lines("sum_over_time(t[10m])", 3 * kStepMs) == Lines{"{} 2"});
}

TEST_CASE("annotations carry the position of their cause") {
  Fixture f({"gauge 0+1x10"});
  const auto rate =
      f.engine.Instant(f.storage, "1 + rate(gauge[5m])", 5 * kStepMs);
  REQUIRE(rate.ok());
  CHECK(rate->infos ==
        Lines{"PromQL info: metric might not be a counter, name does not end "
              "in _total/_sum/_count/_bucket: \"gauge\" (1:10)"});
  const auto quantile =
      f.engine.Instant(f.storage, "quantile(1.5,\n gauge)", 5 * kStepMs);
  REQUIRE(quantile.ok());
  CHECK(quantile->warnings ==
        Lines{"PromQL warning: quantile value should be between 0 and 1, got "
              "1.5 (1:10)"});
}

TEST_CASE("topk of an instant query is ordered, best first, NaN last") {
  Fixture f(
      {R"(m{i="1"} 1)", R"(m{i="2"} NaN)", R"(m{i="3"} 3)", R"(m{i="4"} 2)"});
  CHECK(f.Lines("topk(2, m)", 0) ==
        Lines{R"({__name__="m", i="3"} 3)", R"({__name__="m", i="4"} 2)"});
  CHECK(f.Lines("bottomk(1, m)", 0) == Lines{R"({__name__="m", i="1"} 1)"});
  CHECK(f.Lines("topk(4, m)", 0).back() == R"({__name__="m", i="2"} nan)");
}

TEST_CASE("a query tells how much it has looked at") {
  Fixture f({"m 1 2 3"});
  const auto result = f.engine.Instant(
      f.storage, "sum(m) + count_over_time(m[90s])", 2 * kStepMs);
  REQUIRE(result.ok());
  CHECK(result->stats.total_samples == 3);
  CHECK(result->stats.samples_read == 3);
  CHECK(result->stats.peak_samples >= 2);
}

TEST_CASE("what does not depend on the step is evaluated once") {
  Fixture f({"m 0+1x10"});
  const auto result =
      f.engine.Range(f.storage, "m @ 120 + time() * 0", 0, 3000, 1000);
  REQUIRE(result.ok());
  REQUIRE(result->value.matrix.size() == 1);
  CHECK(result->value.matrix[0].samples.values ==
        std::vector<double>{2, 2, 2, 2});
  CHECK(result->stats.samples_read == 1);
}

TEST_CASE("threads that help change nothing of what large queries answer") {
  constexpr int kSeries = 3000;
  storage::MemoryStorage storage;
  for (int i = 0; i < kSeries; ++i) {
    model::SampleColumns samples;
    for (int step = 0; step < 60; ++step) {
      samples.Append(step * kStepMs, std::sin(i) * 1e6 + step * (i % 7) / 3.0);
    }
    storage.Add(model::Labels({{"__name__", absl::StrCat("m", i % 3)},
                               {"group", absl::StrCat(i % 11)},
                               {"series", absl::StrCat(i)}}),
                samples);
  }
  base::TaskPool helpers(3);
  EngineOptions helped;
  helped.helpers = &helpers;
  Engine alone({}, base::Clock::System());
  Engine together(helped, base::Clock::System());
  const std::string query = GENERATE(
      "sum by (group) (rate(m0[10m]))", "m1", "avg({group=~\".+\"})",
      "topk(7, m1 * 3)", "stddev by (group) (increase(m2[7m] offset 3m))",
      "quantile_over_time(0.3, m0[20m])", "m0 + on(group, series) m0",
      "max_over_time(sum by (group) (rate(m1[5m]))[20m:1m])",
      "rate({series=~\".+\"}[5m])",
      "double_exponential_smoothing(m1[9m], 2, 1)", "sum(timestamp(m2))");
  INFO(query);
  const auto expected =
      alone.Range(storage, query, 20 * kStepMs, 50 * kStepMs, kStepMs);
  const auto got =
      together.Range(storage, query, 20 * kStepMs, 50 * kStepMs, kStepMs);

  REQUIRE(got.status() == expected.status());
  if (!got.ok()) return;
  CHECK(got->warnings == expected->warnings);
  CHECK(got->infos == expected->infos);
  CHECK(got->stats.total_samples == expected->stats.total_samples);
  CHECK(got->stats.samples_read == expected->stats.samples_read);
  CHECK(got->stats.series_read == expected->stats.series_read);
  // A batch is counted before what is held of it.
  CHECK(got->stats.peak_samples <= expected->stats.peak_samples);
  CHECK(10 * got->stats.peak_samples >= 9 * expected->stats.peak_samples);
  REQUIRE(got->value.matrix.size() == expected->value.matrix.size());
  for (std::size_t i = 0; i < got->value.matrix.size(); ++i) {
    const MatrixSeries& a = got->value.matrix[i];
    const MatrixSeries& b = expected->value.matrix[i];
    REQUIRE(a.labels == b.labels);
    REQUIRE(a.samples.timestamps_ms == b.samples.timestamps_ms);
    // Bit by bit, since the order of additions is the same.
    REQUIRE(a.samples.values == b.samples.values);
  }
}

TEST_CASE("limits hold when threads help") {
  storage::MemoryStorage storage;
  for (int i = 0; i < 2000; ++i) {
    model::SampleColumns samples;
    for (int step = 0; step < 60; ++step) samples.Append(step * kStepMs, i);
    storage.Add(model::Labels({{"__name__", "m"}, {"i", absl::StrCat(i)}}),
                samples);
  }
  base::TaskPool helpers(2);
  EngineOptions options;
  options.helpers = &helpers;

  SECTION("of samples") {
    options.max_samples = 50'000;
    Engine engine(options, base::Clock::System());
    const auto result =
        engine.Range(storage, "m", 0, 59 * kStepMs, kStepMs).status();
    CHECK(absl::IsFailedPrecondition(result));
    CHECK(engine.Range(storage, "sum(m)", 0, 59 * kStepMs, kStepMs).ok());
  }
  SECTION("of memory") {
    options.max_bytes = 200'000;
    Engine engine(options, base::Clock::System());
    CHECK(absl::IsFailedPrecondition(
        engine.Range(storage, "m", 0, 59 * kStepMs, kStepMs).status()));
    CHECK(engine.Range(storage, "sum(m)", 0, 59 * kStepMs, kStepMs).ok());
  }
  SECTION("and a query that is cancelled ends") {
    const std::atomic<bool> cancelled{true};
    QueryOptions query;
    query.cancelled = &cancelled;
    Engine engine(options, base::Clock::System());
    CHECK(absl::IsCancelled(
        engine.Range(storage, "m", 0, 59 * kStepMs, kStepMs, query).status()));
  }
}

namespace {

/// Has series without end.
class EndlessStorage : public storage::Queryable {
 public:
  absl::StatusOr<std::unique_ptr<storage::SeriesSet>> Select(
      const storage::SelectHints&,
      const std::vector<model::Matcher>&) override {
    return std::make_unique<Endless>(this);
  }
  absl::StatusOr<std::vector<std::string>> LabelNames(
      const storage::TimeRange&,
      const std::vector<std::vector<model::Matcher>>&, std::size_t) override {
    return std::vector<std::string>();
  }
  absl::StatusOr<std::vector<std::string>> LabelValues(
      const std::string&, const storage::TimeRange&,
      const std::vector<std::vector<model::Matcher>>&, std::size_t) override {
    return std::vector<std::string>();
  }

  /// Sets `*flag` once so many series were read.
  void SetAfter(int series, std::atomic<bool>* flag) {
    limit_ = series;
    flag_ = flag;
  }
  int read_after_flag() const { return reads_ - limit_; }

 private:
  class One : public storage::Series {
   public:
    One(EndlessStorage* storage, int number)
        : storage_(storage),
          labels_({{"__name__", "m"}, {"number", absl::StrCat(number)}}) {}
    const model::Labels& labels() const override { return labels_; }
    absl::Status Read(model::SampleColumns* out) const override {
      if (++storage_->reads_ == storage_->limit_) *storage_->flag_ = true;
      for (int i = 0; i < 60; ++i) out->Append(i * kStepMs, i);
      return absl::OkStatus();
    }

   private:
    EndlessStorage* const storage_;
    const model::Labels labels_;
  };
  class Endless : public storage::SeriesSet {
   public:
    explicit Endless(EndlessStorage* storage) : storage_(storage) {}
    bool Next() override { return ++next_ > 0; }
    std::unique_ptr<storage::Series> At() override {
      return std::make_unique<One>(storage_, next_);
    }
    absl::Status status() const override { return absl::OkStatus(); }

   private:
    EndlessStorage* const storage_;
    int next_ = 0;
  };

  std::atomic<int> reads_{0};
  int limit_ = 0;
  std::atomic<bool>* flag_ = nullptr;
};

}  // namespace

TEST_CASE("every thread of a query stops soon when it is cancelled") {
  // Each looks up from its work after some tens of series: milliseconds.
  constexpr int kSeriesOfThread = 64;
  const std::size_t helpers = GENERATE(0u, 1u, 3u);
  const std::string query =
      GENERATE("sum(rate(m[5m]))", "m", "max_over_time(m[1h:1m])");
  INFO(query << " with " << helpers << " helpers");
  base::TaskPool pool(helpers);
  EngineOptions options;
  options.helpers = &pool;
  options.max_samples = 1'000'000'000;
  Engine engine(options, base::Clock::System());
  std::atomic<bool> cancelled{false};
  EndlessStorage storage;
  storage.SetAfter(2000, &cancelled);
  QueryOptions one;
  one.cancelled = &cancelled;

  const auto result =
      engine.Range(storage, query, 10 * kStepMs, 50 * kStepMs, kStepMs, one);

  CHECK(absl::IsCancelled(result.status()));
  CHECK(storage.read_after_flag() <=
        kSeriesOfThread * (1 + static_cast<int>(helpers)));
}

TEST_CASE("samples are counted as seen at each step that sees them") {
  struct Row {
    const char* query;
    std::int64_t steps;  // 0: an instant query.
    std::int64_t samples;
  };
  const Row row = GENERATE(
      Row{"x", 4, 4}, Row{"count_over_time(x[2m])", 4, 8},
      // Evaluated once.
      Row{"x @ end()", 4, 4}, Row{"count_over_time(x[2m] @ 300)", 4, 8},
      Row{"scalar(x @ 300) + x", 4, 8}, Row{"sum(x @ 300) > x", 4, 8},
      // What the expression of a subquery looks at does not count, but where
      // it is the result.
      Row{"max_over_time(x[3m:1m])", 4, 12},
      Row{"max_over_time(rate(x[2m])[3m:1m])", 4, 12},
      Row{"absent_over_time(x[2m:1m])", 4, 8},
      Row{"max_over_time(x[3m:1m] @ 500)", 4, 12}, Row{"x[3m]", 0, 3},
      Row{"x[3m:1m]", 0, 3}, Row{"rate(x[2m])[3m:1m]", 0, 6});
  INFO(row.query);
  Fixture f({"x 0+1x20"});
  QueryOptions options;
  options.per_step_stats = true;
  const auto result =
      row.steps == 0
          ? f.engine.Instant(f.storage, row.query, 10 * kStepMs, options)
          : f.engine.Range(f.storage, row.query, 6 * kStepMs,
                           (5 + row.steps) * kStepMs, kStepMs, options);
  REQUIRE(result.ok());
  CHECK(result->stats.total_samples == row.samples);
  std::int64_t of_steps = 0;
  for (const QueryStats::Step& step : result->stats.steps) {
    of_steps += step.total_samples;
  }
  CHECK(of_steps == row.samples);
}

TEST_CASE("each step has seen what an instant query there sees") {
  const std::string query = GENERATE(
      "x", "count_over_time(x[2m])", "sum(x) + x @ 300", "x offset 3m",
      "max_over_time(x[3m:1m])", "sum(rate(x[2m])) / count(x)",
      "max_over_time((x + x @ 300)[3m:1m])", "absent_over_time(x[2m:1m])",
      "scalar(sum(x)) + x", "scalar(x @ 300) + time()",
      "count_over_time(x[2m:30s]) + max_over_time(x[1m])", "time()");
  INFO(query);
  // Of the second series there is nothing at first.
  Fixture f({"x{i=\"1\"} 0+1x20", "x{i=\"2\"} _x9 1+1x3"});
  QueryOptions options;
  options.per_step_stats = true;

  const auto range = f.engine.Range(f.storage, query, 6 * kStepMs, 18 * kStepMs,
                                    kStepMs, options);

  REQUIRE(range.ok());
  REQUIRE(range->stats.steps.size() == 13);
  std::int64_t all = 0;
  for (const QueryStats::Step& step : range->stats.steps) {
    const auto there =
        f.engine.Instant(f.storage, query, step.time_ms, options);
    REQUIRE(there.ok());
    INFO("at " << step.time_ms);
    CHECK(step.total_samples == there->stats.total_samples);
    CHECK(step.total_samples == there->stats.steps.at(0).total_samples);
    all += step.total_samples;
  }
  CHECK(range->stats.total_samples == all);
}

}  // namespace
}  // namespace narthex::promql
