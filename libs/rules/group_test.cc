#include "libs/rules/group.h"

#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/base/float_format.h"
#include "libs/model/sample.h"
#include "libs/rules/fake_world.h"

namespace narthex::rules {
namespace {

using promql::VectorSample;

constexpr std::int64_t kMinute = 60 * 1000;
constexpr std::int64_t kStart = 1'700'000'000'000;

// Serves the series of ALERTS_FOR_STATE that a test puts in.
class FakeStorage : public storage::Queryable {
 public:
  struct Row {
    model::Labels labels;
    model::SampleColumns samples;
  };
  std::vector<Row> rows;
  absl::Status status;

  absl::StatusOr<std::unique_ptr<storage::SeriesSet>> Select(
      const storage::SelectHints&,
      const std::vector<model::Matcher>& matchers) override {
    if (!status.ok()) return status;
    auto set = std::make_unique<Set>();
    for (const Row& row : rows) {
      if (model::MatchesAll(matchers, row.labels)) set->rows.push_back(row);
    }
    return set;
  }
  absl::StatusOr<std::vector<std::string>> LabelNames(
      const storage::TimeRange&,
      const std::vector<std::vector<model::Matcher>>&, std::size_t) override {
    return std::vector<std::string>{};
  }
  absl::StatusOr<std::vector<std::string>> LabelValues(
      const std::string&, const storage::TimeRange&,
      const std::vector<std::vector<model::Matcher>>&, std::size_t) override {
    return std::vector<std::string>{};
  }

 private:
  class OneSeries : public storage::Series {
   public:
    explicit OneSeries(Row row) : row_(std::move(row)) {}
    const model::Labels& labels() const override { return row_.labels; }
    absl::Status Read(model::SampleColumns* out) const override {
      *out = row_.samples;
      return absl::OkStatus();
    }

   private:
    Row row_;
  };
  class Set : public storage::SeriesSet {
   public:
    std::vector<Row> rows;
    bool Next() override { return ++next_ <= rows.size(); }
    std::unique_ptr<storage::Series> At() override {
      return std::make_unique<OneSeries>(rows[next_ - 1]);
    }
    absl::Status status() const override { return absl::OkStatus(); }

   private:
    std::size_t next_ = 0;
  };
};

// A group with its world, evaluated by hand once a minute.
class Bench {
 public:
  explicit Bench(const std::string& rules, bool restore = false,
                 FakeStorage* storage = nullptr)
      : options_(world.Options()), metrics_(registry) {
    options_.storage = storage;
    settings.external_url = "http://p";
    settings.external_labels = {{"cluster", "c1"}};
    group = Make(rules, restore);
  }

  std::unique_ptr<Group> Make(const std::string& rules, bool restore = false) {
    const auto file =
        ParseRuleFile(absl::StrCat("groups:\n- name: g\n", rules), "f.yml");
    INFO(file.status());
    REQUIRE(file.ok());
    return std::make_unique<Group>(file->groups[0], "f.yml", settings, restore,
                                   options_, metrics_, clock_,
                                   base::Logger::Discard());
  }

  // Evaluates at `minute` and returns what was stored, one text a sample.
  std::set<std::string> At(double minute) {
    group->Evaluate(kStart + static_cast<std::int64_t>(minute * kMinute));
    return Stored();
  }

  std::set<std::string> Stored() {
    std::set<std::string> texts;
    for (const ResultSample& sample : world.TakeStored()) {
      const bool stale = model::IsStaleNan(sample.value);
      const std::string value =
          stale ? "stale" : base::FormatFloat(sample.value);
      texts.insert(absl::StrCat(sample.labels.ToMetricString(), " ", value));
    }
    return texts;
  }

  AlertState State() { return group->Status().rules[0].state; }
  AlertStatus OnlyAlert() {
    const GroupStatus status = group->Status();
    REQUIRE(status.rules[0].alerts.size() == 1);
    return status.rules[0].alerts[0];
  }

  FakeWorld world;
  metrics::Registry registry;
  GroupSettings settings;
  std::unique_ptr<Group> group;

 private:
  GroupOptions options_;
  Metrics metrics_;
  base::FakeClock clock_{kStart};
};

std::vector<VectorSample> Vector(std::vector<VectorSample> samples) {
  return samples;
}

const VectorSample kUpA = {{{"__name__", "up"}, {"job", "a"}}, 0};
const VectorSample kUpB = {{{"__name__", "up"}, {"job", "b"}}, 0};

TEST_CASE("a recording rule stores native histograms") {
  Bench bench("  rules: [{record: 'r', expr: 'h'}]");
  const auto histogram = std::make_shared<const model::FloatHistogram>();
  bench.world.SetResult("h", Vector({{{{"__name__", "h"}}, 0, histogram}}));
  bench.group->Evaluate(kStart + kMinute);
  const std::vector<ResultSample> stored = bench.world.TakeStored();
  REQUIRE(stored.size() == 1);
  CHECK(stored[0].histogram == histogram);
}

TEST_CASE("a recording rule stores its result under its name and labels") {
  Bench bench(
      "  labels: {team: t, x: group}\n"
      "  rules: [{record: 'r', expr: 'up', labels: {x: rule}}]");
  bench.world.SetResult("up", Vector({kUpA, kUpB}));
  CHECK(bench.At(1) ==
        std::set<std::string>{"r{job=\"a\", team=\"t\", x=\"rule\"} 0",
                              "r{job=\"b\", team=\"t\", x=\"rule\"} 0"});
  const RuleStatus rule = bench.group->Status().rules[0];
  CHECK(rule.health == Health::kOk);
  CHECK(rule.last_evaluation_ms == kStart + kMinute);
}

TEST_CASE("a series that vanishes from a result ends once") {
  Bench bench("  rules: [{record: 'r', expr: 'up'}]");
  bench.world.SetResult("up", Vector({kUpA, kUpB}));
  bench.At(1);
  bench.world.SetResult("up", Vector({kUpA}));
  CHECK(bench.At(2) ==
        std::set<std::string>{"r{job=\"a\"} 0", "r{job=\"b\"} stale"});
  CHECK(bench.At(3) == std::set<std::string>{"r{job=\"a\"} 0"});
}

TEST_CASE("a failing rule ends nothing and does not stop the others") {
  Bench bench("  rules: [{record: 'r', expr: 'up'}, {record: q, expr: down}]");
  bench.world.SetResult("up", Vector({kUpA}));
  bench.world.SetResult("down", Vector({kUpB}));
  bench.At(1);
  bench.world.SetResult("up", absl::FailedPreconditionError("too much"));
  CHECK(bench.At(2) == std::set<std::string>{"q{job=\"b\"} 0"});
  CHECK(bench.group->Status().rules[0].health == Health::kError);
  CHECK(bench.group->Status().rules[0].last_error == "too much");
  bench.world.SetResult("up", Vector({}));
  CHECK(bench.At(3) ==
        std::set<std::string>{"q{job=\"b\"} 0", "r{job=\"a\"} stale"});
}

TEST_CASE("an end that could not be stored is stored again") {
  Bench bench("  rules: [{record: 'r', expr: 'up'}]");
  bench.world.SetResult("up", Vector({kUpA}));
  bench.At(1);
  bench.world.SetResult("up", Vector({}));
  bench.world.SetAppendStatus(absl::UnavailableError("away"));
  CHECK(bench.At(2).empty());
  CHECK(bench.group->Status().rules[0].last_error == "away");
  bench.world.SetAppendStatus(absl::OkStatus());
  CHECK(bench.At(3) == std::set<std::string>{"r{job=\"a\"} stale"});
}

TEST_CASE("two results with one final label set fail the rule") {
  Bench bench(
      "  rules: [{record: 'r', expr: 'up', labels: {job: same}},"
      " {alert: A, expr: 'up', labels: {job: same}}]");
  bench.world.SetResult("up", Vector({kUpA, kUpB}));
  CHECK(bench.At(1).empty());
  const GroupStatus status = bench.group->Status();
  CHECK(status.rules[0].last_error ==
        "vector contains metrics with the same labelset after applying rule "
        "labels");
  CHECK(status.rules[1].last_error ==
        "vector contains metrics with the same labelset after applying alert "
        "labels");
}

TEST_CASE("a rule beyond the limit stores nothing and forgets its alerts") {
  Bench bench(
      "  limit: 1\n"
      "  rules: [{alert: A, expr: up}, {record: r, expr: up}]");
  bench.world.SetResult("up", Vector({kUpA}));
  CHECK(bench.At(1).size() == 3);
  bench.world.SetResult("up", Vector({kUpA, kUpB}));
  CHECK(bench.At(2).empty());
  const GroupStatus status = bench.group->Status();
  CHECK(status.rules[0].last_error == "exceeded limit of 1 with 2 alerts");
  CHECK(status.rules[0].alerts.empty());
  CHECK(status.rules[1].last_error == "exceeded limit of 1 with 2 series");
}

TEST_CASE("the query offset moves queries and results but not the alerts") {
  Bench bench("  rules: [{record: 'r', expr: 'up'}]");
  bench.settings.query_offset_ms = 2 * kMinute;
  bench.group = bench.Make("  rules: [{record: 'r', expr: 'up'}]");
  bench.world.SetResult("up", Vector({kUpA}));
  bench.group->Evaluate(kStart + 10 * kMinute);
  CHECK(bench.world.TakeQueryTimes() ==
        std::vector<std::int64_t>{kStart + 8 * kMinute});
  const auto stored = bench.world.TakeStored();
  REQUIRE(stored.size() == 1);
  CHECK(stored[0].timestamp_ms == kStart + 8 * kMinute);
}

TEST_CASE("an alert goes from pending to firing to resolved") {
  Bench bench(
      "  rules: [{alert: A, expr: 'up == 0', for: 2m, labels: {s: page}}]");
  CHECK(bench.State() == AlertState::kUnknown);
  CHECK(bench.At(0).empty());
  CHECK(bench.State() == AlertState::kInactive);

  bench.world.SetResult("up == 0", Vector({kUpA}));
  const std::string rest = "alertname=\"A\", alertstate=\"";
  const std::string tail = "\", job=\"a\", s=\"page\"} ";
  const std::string state =
      absl::StrCat("ALERTS_FOR_STATE{alertname=\"A\", job=\"a\", s=\"page\"} ",
                   (kStart + kMinute) / 1000);
  const std::string pending = "ALERTS{" + rest + "pending" + tail;
  const std::string firing = "ALERTS{" + rest + "firing" + tail;
  CHECK(bench.At(1) == std::set<std::string>{pending + "1", state});
  CHECK(bench.At(2) == std::set<std::string>{pending + "1", state});
  CHECK(bench.world.TakeSent().empty());
  CHECK(bench.At(3) ==
        std::set<std::string>{pending + "stale", firing + "1", state});
  CHECK(bench.State() == AlertState::kFiring);

  const auto sent = bench.world.TakeSent();
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].labels.ToString() ==
        "{alertname=\"A\", job=\"a\", s=\"page\"}");
  CHECK(sent[0].starts_at_ms == kStart + 3 * kMinute);
  CHECK(sent[0].ends_at_ms == kStart + 7 * kMinute);
  CHECK(sent[0].generator_url == "http://p/graph?g0.expr=up+%3D%3D+0&g0.tab=1");

  bench.world.SetResult("up == 0", Vector({}));
  const std::string state_end =
      "ALERTS_FOR_STATE{alertname=\"A\", job=\"a\", s=\"page\"} stale";
  CHECK(bench.At(4) == std::set<std::string>{firing + "stale", state_end});
  const auto resolved = bench.world.TakeSent();
  REQUIRE(resolved.size() == 1);
  CHECK(resolved[0].ends_at_ms == kStart + 4 * kMinute);
  CHECK(bench.group->Status().rules[0].alerts.empty());
  CHECK(bench.State() == AlertState::kInactive);
}

TEST_CASE("a resolved alert is sent for a quarter of an hour") {
  Bench bench("  rules: [{alert: A, expr: up}]");
  bench.world.SetResult("up", Vector({kUpA}));
  bench.At(0);
  bench.world.SetResult("up", Vector({}));
  bench.world.TakeSent();
  int sent = 0;
  for (double minute = 1; minute <= 40; minute += 0.5) {
    bench.At(minute);
    sent += static_cast<int>(bench.world.TakeSent().size());
  }
  // At minute 1, then whenever more than a minute has passed, up to 16.
  CHECK(sent == 11);
}

TEST_CASE("a firing alert is sent again only after the resend delay") {
  Bench bench("  rules: [{alert: A, expr: up}]");
  bench.world.SetResult("up", Vector({kUpA}));
  bench.At(0);
  CHECK(bench.world.TakeSent().size() == 1);
  bench.At(0.5);
  bench.At(1);
  CHECK(bench.world.TakeSent().empty());
  bench.At(1.5);
  CHECK(bench.world.TakeSent().size() == 1);
}

TEST_CASE("a pending alert that goes is forgotten in silence") {
  Bench bench("  rules: [{alert: A, expr: up, for: 5m}]");
  bench.world.SetResult("up", Vector({kUpA}));
  bench.At(0);
  bench.world.SetResult("up", Vector({}));
  CHECK(bench.At(1).size() == 2);
  CHECK(bench.State() == AlertState::kInactive);
  CHECK(bench.world.TakeSent().empty());
}

TEST_CASE("keep_firing_for holds an alert through gaps") {
  Bench bench("  rules: [{alert: A, expr: up, keep_firing_for: 3m}]");
  bench.world.SetResult("up", Vector({kUpA}));
  bench.At(0);
  bench.world.SetResult("up", Vector({}));
  bench.At(1);
  bench.At(2);
  CHECK(bench.OnlyAlert().keep_firing_since_ms == kStart + kMinute);
  bench.world.SetResult("up", Vector({kUpA}));
  bench.At(3);
  CHECK(bench.OnlyAlert().keep_firing_since_ms == 0);
  bench.world.SetResult("up", Vector({}));
  bench.At(4);
  bench.At(6.5);
  CHECK(bench.State() == AlertState::kFiring);
  bench.At(7);
  CHECK(bench.State() == AlertState::kInactive);
}

TEST_CASE("labels and annotations are expanded for each alert") {
  Bench bench(R"(  rules:
  - alert: A
    expr: up
    labels: {where: '{{ $externalLabels.cluster }}/{{ .Labels.job }}'}
    annotations:
      text: '{{ $labels.job }} {{ $value }} {{ $labels.none }}{{ $externalURL }}'
      other: '{{ with query "down" }}{{ . | first | label "job" }}{{ end }}'
      wrong: '{{ query "bad" }}'
      named: '{{ define "x" }}<{{ . }}>{{ end }}{{ tmpl "x" 1 }}'
)");
  bench.world.SetResult("up", Vector({{{{"job", "a"}}, 1.5}}));
  bench.world.SetResult("down", Vector({kUpB}));
  bench.world.SetResult("bad", absl::InvalidArgumentError("no"));
  bench.At(0);
  const AlertStatus alert = bench.OnlyAlert();
  CHECK(alert.labels.Get("where") == "c1/a");
  CHECK(alert.annotations.Get("text") == "a 1.5 http://p");
  CHECK(alert.annotations.Get("other") == "b");
  CHECK(alert.annotations.Get("named") == "<1>");
  CHECK(alert.annotations.Get("wrong") ==
        "<error expanding template: error executing template __alert_A: "
        "template: __alert_A:1:115: executing \"__alert_A\" at <query "
        "\"bad\">: error calling query: no>");
}

TEST_CASE("a new version of a group goes on where the old one was") {
  const std::string alert = "{alert: A, expr: up, for: 2m}";
  Bench bench("  rules: [" + alert + ", {record: r, expr: up}]");
  bench.world.SetResult("up", Vector({kUpA}));
  bench.At(0);
  bench.At(1);
  auto next = bench.Make(
      "  rules: [{record: q, expr: up}, {alert: A, expr: "
      "up, for: 3m}]");
  next->CopyState(*bench.group);
  bench.group = std::move(next);
  const std::set<std::string> stored = bench.At(2);
  CHECK(stored.count("r{job=\"a\"} stale") == 1);
  CHECK(stored.count("q{job=\"a\"} 0") == 1);
  const AlertStatus status = bench.group->Status().rules[1].alerts[0];
  CHECK(status.active_at_ms == kStart);
  CHECK(status.state == AlertState::kPending);
}

TEST_CASE("a longer for moves a firing alert back to pending") {
  Bench bench("  rules: [{alert: A, expr: up, for: 1m}]");
  bench.world.SetResult("up", Vector({kUpA}));
  bench.At(0);
  bench.At(1);
  CHECK(bench.State() == AlertState::kFiring);
  auto next = bench.Make("  rules: [{alert: A, expr: up, for: 5m}]");
  next->CopyState(*bench.group);
  bench.group = std::move(next);
  bench.At(2);
  CHECK(bench.State() == AlertState::kPending);
  bench.At(5);
  CHECK(bench.State() == AlertState::kFiring);
}

TEST_CASE("a group that goes ends all its series") {
  Bench bench("  rules: [{record: 'r', expr: 'up'}]");
  bench.world.SetResult("up", Vector({kUpA}));
  bench.At(0);
  bench.group->EndSeries(kStart + kMinute);
  CHECK(bench.Stored() == std::set<std::string>{"r{job=\"a\"} stale"});
}

// After a restart at minute 100: the alert was seen active since
// `active_minute` and last at `seen_minute`.
FakeStorage Remembered(double active_minute, double seen_minute) {
  FakeStorage storage;
  FakeStorage::Row row;
  row.labels = {
      {"__name__", "ALERTS_FOR_STATE"}, {"alertname", "A"}, {"job", "a"}};
  row.samples.Append(kStart + static_cast<std::int64_t>(seen_minute * kMinute),
                     static_cast<double>(kStart / 1000) + active_minute * 60);
  storage.rows.push_back(row);
  return storage;
}

TEST_CASE("a restart gives alerts the time they were pending back") {
  struct Row {
    double active, seen;  // Before the restart, minutes.
    double wanted;        // Active at, minutes.
  };
  const Row row = GENERATE(values<Row>({
      // 40 minutes of 60 were over; being down does not count.
      {50, 90, 61},
      // 55 were over: it fires after the grace period of 10 minutes.
      {35, 90, 51},
      // It was firing.
      {10, 90, 10},
  }));
  CAPTURE(row.active, row.seen);
  FakeStorage storage = Remembered(row.active, row.seen);
  Bench bench("  rules: [{alert: A, expr: up, for: 1h}]", true, &storage);
  bench.world.SetResult("up", Vector({kUpA}));
  CHECK(bench.At(100).empty());
  CHECK(bench.OnlyAlert().active_at_ms == kStart + 100 * kMinute);
  CHECK(bench.At(101).empty());
  CHECK(bench.OnlyAlert().active_at_ms ==
        kStart + static_cast<std::int64_t>(row.wanted * kMinute));
  CHECK(bench.At(102).size() == 2);
}

TEST_CASE("an alert that was over before the restart starts anew") {
  FakeStorage storage = Remembered(50, 90);
  storage.rows[0].samples.Append(kStart + 91 * kMinute, model::StaleNan());
  Bench bench("  rules: [{alert: A, expr: up, for: 1h}]", true, &storage);
  bench.world.SetResult("up", Vector({kUpA}));
  bench.At(100);
  bench.At(101);
  CHECK(bench.OnlyAlert().active_at_ms == kStart + 100 * kMinute);
}

TEST_CASE("restoration waits for a storage that is away") {
  FakeStorage storage = Remembered(50, 90);
  storage.status = absl::UnavailableError("away");
  Bench bench("  rules: [{alert: A, expr: up, for: 1h}]", true, &storage);
  bench.world.SetResult("up", Vector({kUpA}));
  bench.At(100);
  bench.At(101);
  CHECK(bench.At(102).empty());
  storage.status = absl::OkStatus();
  bench.At(103);
  CHECK(bench.OnlyAlert().active_at_ms == kStart + 63 * kMinute);
  CHECK(bench.At(104).size() == 2);
}

TEST_CASE("groups spread over their interval and keep to their grid") {
  Bench bench("  rules: []");
  const std::int64_t first = bench.group->GridTime(kStart);
  CHECK(first <= kStart);
  CHECK(first > kStart - kMinute);
  CHECK(bench.group->GridTime(first) == first);
  CHECK(bench.group->GridTime(first + kMinute - 1) == first);
  CHECK(bench.group->GridTime(first + kMinute) == first + kMinute);
}

}  // namespace
}  // namespace narthex::rules
