#include "services/alertmanager/alert.h"

#include <catch2/catch.hpp>

#include "services/alertmanager/alert_parser.h"
#include "services/alertmanager/alert_store.h"

namespace narthex::alertmanager {
namespace {

Alert MakeAlert(std::int64_t starts, std::int64_t ends, std::int64_t updated,
                bool timeout = false,
                const model::Labels& labels = {{"alertname", "a"}}) {
  auto content = std::make_shared<AlertContent>();
  content->labels = labels;
  content->fingerprint = FingerprintOf(labels);
  return {content, starts, ends, updated, timeout};
}

TEST_CASE("fingerprints are those of Prometheus") {
  // Taken from answers of Alertmanager 0.33.
  CHECK(FormatFingerprint(FingerprintOf({{"alertname", "T1"}, {"sev", "x"}})) ==
        "93c18e6deecfe563");
  CHECK(FormatFingerprint(FingerprintOf({{"alertname", "ok"}})) ==
        "01167342b0fed1b2");
}

TEST_CASE("annotations are sorted, keep empty texts and the last of a name") {
  const Annotations annotations({{"b", "1"}, {"a", ""}, {"b", "2"}});
  const auto pairs = annotations.pairs();
  REQUIRE(pairs.size() == 2);
  CHECK(pairs[0].first == "a");
  CHECK(pairs[0].second.empty());
  CHECK(pairs[1].second == "2");
}

TEST_CASE("merged alerts start at the earliest start") {
  const Alert merged =
      MergeAlerts(MakeAlert(10, 100, 1), MakeAlert(5, 100, 2), /*now_ms=*/20);
  CHECK(merged.starts_at_ms == 5);
  CHECK(merged.updated_at_ms == 2);
}

TEST_CASE("of two ends the later explicit one counts") {
  struct Row {
    const char* about;
    Alert older;
    Alert newer;
    std::int64_t ends;
  };
  constexpr std::int64_t kNow = 50;
  const Row rows[] = {
      {"an explicit end still to come beats an earlier one",
       MakeAlert(0, 200, 1), MakeAlert(0, 100, 2), 200},
      {"a timeout does not", MakeAlert(0, 200, 1, true), MakeAlert(0, 100, 2),
       100},
      {"a resolved newer one ends the alert", MakeAlert(0, 200, 1),
       MakeAlert(0, 40, 2), 40},
      {"of two past ends the later", MakeAlert(0, 45, 1), MakeAlert(0, 40, 2),
       45},
      {"the newer one when it is later", MakeAlert(0, 60, 1),
       MakeAlert(0, 90, 2), 90},
  };
  for (const Row& row : rows) {
    INFO(row.about);
    CHECK(MergeAlerts(row.older, row.newer, kNow).ends_at_ms == row.ends);
    CHECK(MergeAlerts(row.newer, row.older, kNow).ends_at_ms == row.ends);
  }
}

TEST_CASE("alerts sort by job and instance before other labels") {
  const Alert a = MakeAlert(0, 1, 1, false, {{"a", "2"}, {"job", "x"}});
  const Alert b = MakeAlert(0, 1, 1, false, {{"a", "1"}, {"job", "y"}});
  const Alert c =
      MakeAlert(0, 1, 1, false, {{"a", "9"}, {"instance", "i"}, {"job", "x"}});
  std::vector<Alert> alerts = {b, c, a};
  SortAlerts(&alerts);
  CHECK(alerts[0].labels() == a.labels());
  CHECK(alerts[1].labels() == c.labels());
  CHECK(alerts[2].labels() == b.labels());
}

TEST_CASE("the API writes times with three decimals, notifications without") {
  CHECK(FormatApiTime(1000) == "1970-01-01T00:00:01.000Z");
  CHECK(FormatTime(1000) == "1970-01-01T00:00:01Z");
  CHECK(FormatTime(kNoTime) == "0001-01-01T00:00:00Z");
}

TEST_CASE("times are read in all forms of RFC 3339") {
  struct Row {
    const char* text;
    bool ok;
    std::int64_t ms;
  };
  const Row rows[] = {
      {"1970-01-01T00:00:01Z", true, 1000},
      {"1970-01-01T00:00:01.5Z", true, 1500},
      {"1970-01-01T00:00:01.123456789Z", true, 1123},
      {"1970-01-01T01:00:01.25+01:00", true, 1250},
      {"2026-11-22T09:13:37.001+00:00", true, 1795338817001},
      {"0001-01-01T00:00:00.000Z", true, kNoTime},
      {"2026-02-30T00:00:00Z", false, 0},
      {"yesterday", false, 0},
      {"", false, 0},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    std::int64_t ms = 0;
    CHECK(ParseApiTime(row.text, &ms) == row.ok);
    if (row.ok) CHECK(ms == row.ms);
  }
}

TEST_CASE("an alert without an end ends after the resolve timeout") {
  Alert alert = MakeAlert(kNoTime, kNoTime, 0);
  CompleteTimes(/*now_ms=*/100, /*resolve_timeout_ms=*/50, &alert);
  CHECK(alert.starts_at_ms == 100);
  CHECK(alert.ends_at_ms == 150);
  CHECK(alert.timeout);
}

TEST_CASE("any prefix of a body of alerts is refused, none crashes") {
  const std::string body =
      R"([{"labels":{"a":"b\u00e9\n"},"annotations":{"x":null},)"
      R"("startsAt":"2026-01-02T03:04:05Z","z":[1,{"q":true}]}])";
  std::vector<Alert> alerts;
  REQUIRE(ParseAlerts(body, &alerts).ok());
  REQUIRE(alerts.size() == 1);
  CHECK(alerts[0].labels().Get("a") == "b\u00e9\n");
  for (std::size_t i = 0; i < body.size(); ++i) {
    std::vector<Alert> ignored;
    CHECK_FALSE(ParseAlerts(body.substr(0, i), &ignored).ok());
  }
}

class CountingSink : public AlertSink {
 public:
  void OnAlerts(const std::vector<Alert>& alerts) override {
    count += alerts.size();
  }
  std::size_t count = 0;
};

TEST_CASE("a new sink is first told of all alerts that are held") {
  base::FakeClock clock(1000);
  AlertStore store(clock, /*limit_per_name=*/0);
  store.Put({MakeAlert(0, 2000, 1000)});
  CountingSink sink;
  store.SetSink(&sink);
  CHECK(sink.count == 1);
  store.Put({MakeAlert(0, 3000, 1000)});
  CHECK(sink.count == 2);
}

TEST_CASE("resolved alerts leave the store at garbage collection") {
  base::FakeClock clock(1000);
  AlertStore store(clock, /*limit_per_name=*/0);
  store.Put({MakeAlert(0, 1500, 1000)});
  store.CollectGarbage();
  CHECK(store.All().size() == 1);
  clock.Advance(1000);
  store.CollectGarbage();
  CHECK(store.All().empty());
}

TEST_CASE("beyond the limit of a name new alerts are refused, known ones not") {
  base::FakeClock clock(1000);
  AlertStore store(clock, /*limit_per_name=*/1);
  const Alert first =
      MakeAlert(0, 1500, 1, false, {{"alertname", "a"}, {"i", "1"}});
  CHECK(store.Put({first}) == 0);
  CHECK(store.Put({MakeAlert(0, 1500, 1, false,
                             {{"alertname", "a"}, {"i", "2"}})}) == 1);
  CHECK(store.Put({first}) == 0);
  CHECK(store.limited_total() == 1);
  clock.Advance(1000);
  store.CollectGarbage();
  CHECK(store.Put({MakeAlert(0, 9000, 1, false,
                             {{"alertname", "a"}, {"i", "2"}})}) == 0);
}

}  // namespace
}  // namespace narthex::alertmanager
