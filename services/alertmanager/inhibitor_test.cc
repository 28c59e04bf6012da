#include "services/alertmanager/inhibitor.h"

#include <catch2/catch.hpp>

#include "services/alertmanager/matchers.h"

namespace narthex::alertmanager {
namespace {

std::vector<model::Matcher> Matchers(const char* text) {
  return *ParseMatchers(text, MatcherSyntax::kUtf8);
}

Alert MakeAlert(const model::Labels& labels, std::int64_t ends_at_ms) {
  auto content = std::make_shared<AlertContent>();
  content->labels = labels;
  content->fingerprint = FingerprintOf(labels);
  return {content, 0, ends_at_ms, 0, false};
}

InhibitRuleConfig CriticalMutesWarning() {
  return {"",
          Matchers("severity=critical"),
          Matchers("severity=warning"),
          {"cluster", "alertname"}};
}

TEST_CASE("a firing source mutes targets with equal labels only") {
  Inhibitor inhibitor({CriticalMutesWarning()});
  const Alert source = MakeAlert(
      {{"severity", "critical"}, {"alertname", "x"}, {"cluster", "c1"}}, 1000);
  inhibitor.Observe({source});

  const model::Labels target = {
      {"severity", "warning"}, {"alertname", "x"}, {"cluster", "c1"}};
  CHECK(inhibitor.InhibitedBy(target, 999) == source.fingerprint());
  CHECK_FALSE(inhibitor.InhibitedBy(target, 1000).has_value());
  CHECK_FALSE(
      inhibitor
          .InhibitedBy(
              {{"severity", "warning"}, {"alertname", "x"}, {"cluster", "c2"}},
              500)
          .has_value());
  CHECK_FALSE(
      inhibitor
          .InhibitedBy(
              {{"severity", "info"}, {"alertname", "x"}, {"cluster", "c1"}},
              500)
          .has_value());
}

TEST_CASE("missing and empty labels are equal") {
  Inhibitor inhibitor({CriticalMutesWarning()});
  inhibitor.Observe(
      {MakeAlert({{"severity", "critical"}, {"alertname", "x"}}, 1000)});
  CHECK(
      inhibitor.InhibitedBy({{"severity", "warning"}, {"alertname", "x"}}, 500)
          .has_value());
}

TEST_CASE("a source that resolves stops to mute, and may fire again") {
  Inhibitor inhibitor({CriticalMutesWarning()});
  const model::Labels source = {{"severity", "critical"}};
  const model::Labels target = {{"severity", "warning"}};
  inhibitor.Observe({MakeAlert(source, 1000)});
  inhibitor.Observe({MakeAlert(source, 100)});
  CHECK_FALSE(inhibitor.InhibitedBy(target, 500).has_value());
  inhibitor.CollectGarbage(500);
  inhibitor.Observe({MakeAlert(source, 2000)});
  CHECK(inhibitor.InhibitedBy(target, 500).has_value());
}

TEST_CASE("alerts on both sides of a rule do not mute each other") {
  Inhibitor inhibitor(
      {{"", Matchers("a=~\"1|2\""), Matchers("b=~\"1|2\""), {}}});
  const model::Labels both = {{"a", "1"}, {"b", "1"}};
  const model::Labels source_only = {{"a", "2"}};
  const model::Labels target_only = {{"b", "2"}};
  inhibitor.Observe({MakeAlert(both, 1000)});
  CHECK_FALSE(inhibitor.InhibitedBy(both, 500).has_value());
  CHECK(inhibitor.InhibitedBy(target_only, 500).has_value());
  inhibitor.Observe({MakeAlert(source_only, 1000)});
  CHECK(inhibitor.InhibitedBy(both, 500).has_value());
}

}  // namespace
}  // namespace narthex::alertmanager
