#include "services/alertmanager/config.h"

#include <catch2/catch.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/alertmanager/route.h"

namespace narthex::alertmanager {
namespace {

constexpr char kReceivers[] = R"(
receivers:
- name: a
- name: b
  webhook_configs: [{url: 'http://h/'}]
)";

absl::StatusOr<Config> Parse(const std::string& text) {
  return ParseConfig(text, "/etc/am.yml", ConfigOptions());
}

std::string ErrorOf(const std::string& text) {
  return std::string(Parse(text).status().message());
}

TEST_CASE("mistakes are named with file, line and field") {
  struct Row {
    std::string text;
    const char* error;
  };
  const Row rows[] = {
      {"receivers: [{name: a}]", "no route provided in config"},
      {absl::StrCat("route: {group_by: [x]}", kReceivers),
       "root route must specify a default receiver"},
      {absl::StrCat("route: {receiver: c}", kReceivers),
       "undefined receiver \"c\" used in route"},
      {absl::StrCat("route: {receiver: a, matchers: ['x=y']}", kReceivers),
       "root route must not have any matchers"},
      {absl::StrCat("route: {receiver: a, group_by: [x, x]}", kReceivers),
       "duplicated label \"x\" in group_by"},
      {absl::StrCat("route: {receiver: a, group_by: ['...', x]}", kReceivers),
       "cannot have wildcard group_by"},
      {absl::StrCat("route: {receiver: a, group_interval: 0s}", kReceivers),
       "group_interval cannot be zero"},
      {absl::StrCat("route: {receiver: a, repeat_interval: 0s}", kReceivers),
       "repeat_interval cannot be zero"},
      {absl::StrCat("route: {receiver: a, routes: [{receiver: z}]}",
                    kReceivers),
       "undefined receiver \"z\" used in route"},
      {absl::StrCat("route: {receiver: a, routes: [{mute_time_intervals: "
                    "[never]}]}",
                    kReceivers),
       "undefined time interval \"never\" used in route"},
      {absl::StrCat("route: {receiver: a, routes: [{matchers: ['a']}]}",
                    kReceivers),
       "matchers"},
      {"route: {receiver: a}\nreceivers: [{name: a}, {name: a}]",
       "\"a\" is not unique"},
      {"route: {receiver: a}\nreceivers: [{}]", "missing name in receiver"},
      {absl::StrCat("route: {receiver: a}\nbogus: 1", kReceivers),
       "line 2: field bogus not found"},
      {"route: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs:\n"
       "  - {url: 'ftp://h'}",
       "unsupported scheme"},
      {"route: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs:\n"
       "  - {url: 'http://h', url_file: x}",
       "at most one of url & url_file"},
      {"route: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs: [{}]",
       "one of url or url_file must be configured"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    CHECK_THAT(ErrorOf(row.text), Catch::Contains(row.error));
    CHECK_THAT(ErrorOf(row.text), Catch::StartsWith("/etc/am.yml: line "));
  }
}

TEST_CASE("receivers that cannot send yet are refused by name") {
  const auto config = Parse(
      "route: {receiver: a}\nreceivers:\n- name: a\n"
      "  pagerduty_configs: [{routing_key: k}]");
  CHECK(absl::IsUnimplemented(config.status()));
  CHECK_THAT(std::string(config.status().message()),
             Catch::Contains("line 4") &&
                 Catch::Contains("pagerduty is known to Alertmanager, not "
                                 "supported yet"));
}

TEST_CASE("relative paths are taken from the folder of the file") {
  const auto config = Parse(absl::StrCat(
      "route: {receiver: a}\ntemplates: ['t/*.tmpl', /abs/x]", kReceivers));
  REQUIRE(config.ok());
  CHECK(config->templates ==
        std::vector<std::string>{"/etc/t/*.tmpl", "/abs/x"});
}

std::vector<std::string> ReceiversOf(const Route& root,
                                     const model::Labels& labels) {
  std::vector<std::string> names;
  for (const Route* route : root.Match(labels)) {
    names.push_back(route->receiver());
  }
  return names;
}

TEST_CASE("the deepest match takes an alert, the parent what no child takes") {
  const auto config = Parse(R"(
route:
  receiver: root
  group_by: [alertname]
  group_wait: 1s
  routes:
  - {receiver: audit, matchers: ['severity="critical"'], continue: true}
  - receiver: team
    matchers: ['team=~"a|b"']
    group_by: []
    repeat_interval: 1h
    routes:
    - {receiver: deep, matchers: ['zone!=""'], group_by: ['...']}
receivers: [{name: root}, {name: audit}, {name: team}, {name: deep}]
)");
  REQUIRE(config.ok());
  const auto root = Route::Build(config->route);
  using Names = std::vector<std::string>;
  CHECK(ReceiversOf(*root, {{"x", "y"}}) == Names{"root"});
  CHECK(ReceiversOf(*root, {{"severity", "critical"}}) == Names{"audit"});
  CHECK(ReceiversOf(*root, {{"severity", "critical"}, {"team", "a"}}) ==
        Names{"audit", "team"});
  CHECK(ReceiversOf(*root, {{"team", "b"}, {"zone", "z"}}) == Names{"deep"});
  CHECK(ReceiversOf(*root, {{"team", "ab"}}) == Names{"root"});

  const model::Labels labels = {{"alertname", "x"}, {"team", "a"}};
  const Route* team = root->Match(labels)[0];
  CHECK(team->GroupLabels(labels).empty());
  CHECK(team->group_wait_ms() == 1000);
  CHECK(team->repeat_interval_ms() == 3600 * 1000);
  CHECK(team->key() == R"({}/{team=~"a|b"})");
  const model::Labels deep = {{"team", "a"}, {"zone", "z"}};
  CHECK(root->Match(deep)[0]->GroupLabels(deep) == deep);
}

TEST_CASE("the printed configuration has the defaults and hides secrets") {
  const auto config = Parse(R"(
route: {receiver: a, routes: [{match: {x: y}, mute_time_intervals: [night]}]}
time_intervals:
- name: night
  time_intervals:
  - {times: [{start_time: '00:00', end_time: '06:00'}], weekdays: ['monday:friday'], location: UTC}
inhibit_rules: [{source_match: {s: '1'}, target_match_re: {t: '2|3'}, equal: [e]}]
receivers:
- name: a
  webhook_configs:
  - {url: 'http://token@h/', http_config: {basic_auth: {username: u, password: p}}}
)");
  REQUIRE(config.ok());
  const std::string text = PrintConfig(*config);
  CHECK_THAT(text, Catch::StartsWith("global:\n  resolve_timeout: 5m\n"));
  CHECK_THAT(text, Catch::Contains("    - x=\"y\"\n"));
  CHECK_THAT(text, Catch::Contains("target_matchers:\n  - t=~\"2|3\"\n"));
  CHECK_THAT(text, Catch::Contains("- monday:friday\n"));
  CHECK_THAT(text, Catch::Contains("password: <secret>\n"));
  CHECK_FALSE(absl::StrContains(text, "token"));
}

}  // namespace
}  // namespace narthex::alertmanager
