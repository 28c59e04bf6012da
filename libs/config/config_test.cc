#include "libs/config/config.h"

#include <catch2/catch.hpp>
#include <cstdlib>

#include "libs/base/file.h"
#include "libs/discovery/file.h"

namespace narthex::config {
namespace {

Config Good(absl::string_view text) {
  auto config = Parse(text, "p.yml", "/etc/p");
  INFO(config.status());
  REQUIRE(config.ok());
  return std::move(*config);
}

std::string ErrorOf(absl::string_view text) {
  const auto config = Parse(text, "p.yml", "/etc/p");
  return config.ok() ? "" : std::string(config.status().message());
}

/// The first pattern of the first file_sd_configs entry.
std::string FilesOf(const discovery::Configs& configs) {
  const auto& first = configs.providers.at("file").front();
  return first.As<discovery::FileConfig>()->files.front();
}

TEST_CASE("an empty file gives the defaults") {
  for (const char* text : {"", "global:\n", "runtime:\nglobal: {}\n"}) {
    const Config config = Good(text);
    CHECK(config.global.scrape_interval_ms == 60'000);
    CHECK(config.global.scrape_timeout_ms == 10'000);
    CHECK(config.global.evaluation_interval_ms == 60'000);
    CHECK(config.Print() ==
          "global:\n"
          "  scrape_interval: 1m\n"
          "  scrape_timeout: 10s\n"
          "  scrape_protocols:\n"
          "  - OpenMetricsText1.0.0\n"
          "  - OpenMetricsText0.0.1\n"
          "  - PrometheusText1.0.0\n"
          "  - PrometheusText0.0.4\n"
          "  evaluation_interval: 1m\n"
          "  metric_name_validation_scheme: utf8\n"
          "  metric_name_escaping_scheme: allow-utf-8\n"
          "runtime:\n"
          "  gogc: 75\n"
          "otlp:\n"
          "  translation_strategy: UnderscoreEscapingWithSuffixes\n");
  }
}

TEST_CASE("scrape configs inherit from global what they leave open") {
  const Config config = Good(
      "global: {scrape_interval: 15s, sample_limit: 7, scrape_timeout: 9s}\n"
      "scrape_configs:\n"
      "- job_name: a\n"
      "- {job_name: b, scrape_interval: 5s, sample_limit: 3}\n"
      "- {job_name: c, scrape_native_histograms: true}\n");
  const auto& scrapes = config.scrape_configs;
  CHECK(scrapes[0].scrape_interval_ms == 15'000);
  CHECK(scrapes[0].scrape_timeout_ms == 9'000);
  CHECK(scrapes[0].limits.samples == 7);
  CHECK(scrapes[0].metrics_path == "/metrics");
  CHECK(scrapes[1].scrape_timeout_ms == 5'000);
  CHECK(scrapes[1].limits.samples == 3);
  CHECK(scrapes[2].scrape_protocols.front() ==
        exposition::Protocol::kPrometheusProto);
}

TEST_CASE("what the section global leaves out may have other defaults") {
  GlobalConfig defaults;
  defaults.extra_scrape_metrics = true;
  const auto [global, scrape, wanted] =
      GENERATE(table<std::string, std::string, bool>({
          {"", "", true},
          {"global: {scrape_interval: 7s}\n", "", true},
          {"global: {extra_scrape_metrics: false}\n", "", false},
          {"", ", extra_scrape_metrics: false", false},
      }));
  INFO(global << scrape);
  const auto config = Parse(
      absl::StrCat(global, "scrape_configs: [{job_name: a", scrape, "}]\n"),
      "p.yml", ".", defaults);
  REQUIRE(config.ok());
  CHECK(config->AllScrapeConfigs()[0].extra_scrape_metrics == wanted);
}

TEST_CASE("patterns of files may have stars in their last part") {
  for (const char* field : {"rule_files", "scrape_config_files"}) {
    const std::string text = std::string(field) + ": ['r/a-*-*.yml', '**']\n";
    CHECK(Parse(text, "p.yml", "/d").status() == absl::OkStatus());
  }
}

TEST_CASE("relative paths begin at the directory of the file") {
  const Config config = Good(
      "rule_files: [r/*.yml, /abs/r.yml]\n"
      "scrape_configs:\n"
      "- job_name: a\n"
      "  authorization: {credentials_file: token}\n"
      "  tls_config: {ca_file: ../ca.pem}\n"
      "  file_sd_configs: [{files: [t/*.json]}]\n");
  CHECK(config.rule_files ==
        std::vector<std::string>{"/etc/p/r/*.yml", "/abs/r.yml"});
  const ScrapeConfig& scrape = config.scrape_configs[0];
  CHECK(scrape.http.authorization->credentials_file == "/etc/p/token");
  CHECK(scrape.http.tls.ca_file == "/etc/ca.pem");
  CHECK(FilesOf(scrape.discovery) == "/etc/p/t/*.json");
}

TEST_CASE("external labels take values from the environment") {
  setenv("NARTHEX_TEST_ZONE", "eu", 1);
  unsetenv("NARTHEX_TEST_NONE");
  const Config config = Good(
      "global:\n  external_labels:\n"
      "    a: x-${NARTHEX_TEST_ZONE}\n    b: $NARTHEX_TEST_ZONE/y\n"
      "    c: p$$q\n    d: z${NARTHEX_TEST_NONE}\n    e: end$\n"
      "    f: ''\n");
  const model::Labels& labels = config.global.external_labels;
  CHECK(labels.Get("a") == "x-eu");
  CHECK(labels.Get("b") == "eu/y");
  CHECK(labels.Get("c") == "p$q");
  CHECK(labels.Get("d") == "z");
  CHECK(labels.Get("e") == "end$");
  CHECK(config.warnings ==
        std::vector<std::string>{"external label d: environment variable "
                                 "NARTHEX_TEST_NONE is empty"});
  CHECK_FALSE(labels.Has("f"));
  CHECK(config.Print().find("    e: end$\n    f: \"\"\n") != std::string::npos);
}

TEST_CASE("errors name file, line and field") {
  const struct {
    const char* text;
    const char* message;
  } rows[] = {
      {"global:\n  scrape_intervall: 1m\n",
       "p.yml: line 2: global: field scrape_intervall not found"},
      {"scrape_configs:\n- job_name: a\n- job_name: a\n",
       "p.yml: line 3: scrape_configs[1]: found multiple scrape configs with "
       "job name \"a\", first found in main config file"},
      {"scrape_configs:\n- job_name: a\n  scrape_interval: 1s\n"
       "  scrape_timeout: 2s\n",
       "p.yml: line 4: scrape_configs[0].scrape_timeout: scrape timeout "
       "greater than scrape interval"},
      {"scrape_configs:\n- job_name: a\n  mesos_sd_configs: [{region: x}]\n",
       "p.yml: line 3: scrape_configs[0]: field mesos_sd_configs not found"},
      {"rule_files:\n- a\n- b/*/c\n",
       "p.yml: line 3: rule_files[1]: invalid rule file path \"b/*/c\""},
      {"scrape_configs:\n- job_name: a\n  relabel_configs:\n  - action: x\n",
       "p.yml: line 4: scrape_configs[0].relabel_configs[0]: unknown relabel "
       "action \"x\""},
      {"scrape_configs:\n- job_name: a\n  scrape_protocols: [x]\n",
       "p.yml: line 3: scrape_configs[0].scrape_protocols[0]: unknown scrape "
       "protocol x, supported: [PrometheusProto PrometheusText0.0.4 "
       "PrometheusText1.0.0 OpenMetricsText0.0.1 OpenMetricsText1.0.0]"},
      {"alerting:\n  alertmanagers:\n  - api_version: v1\n",
       "p.yml: line 3: alerting.alertmanagers[0].api_version: expected "
       "Alertmanager api version to be one of [v2] but got v1"},
  };
  for (const auto& row : rows) CHECK(ErrorOf(row.text) == row.message);
}

TEST_CASE("what has no effect yet is accepted and said") {
  const Config config = Good(
      "remote_write: [{url: 'http://x/y'}]\ntracing: {endpoint: 'x:1'}\n"
      "scrape_configs: [{job_name: a, oauth2: {client_id: i, "
      "token_url: 'http://x/t'}}]\n");
  CHECK(config.unsupported ==
        std::vector<std::string>{
            "remote_write: known to Prometheus, not supported yet",
            "tracing: known to Prometheus, not supported yet"});
}

TEST_CASE("secrets are hidden and the print reads back to the same print") {
  const Config config = Good(
      "scrape_configs:\n"
      "- job_name: a\n"
      "  basic_auth: {username: u, password: hunter2}\n"
      "  proxy_url: http://u:hunter2@proxy:1\n"
      "  http_headers: {X-A: {values: [v], secrets: [hunter2]}}\n"
      "  body_size_limit: 1500KB\n"
      "  params: {m: ['{a=\"b\"}', c]}\n"
      "  static_configs: [{targets: ['x:1'], labels: {l: 'true'}}]\n"
      "  relabel_configs: [{source_labels: [a, b], target_label: c, "
      "separator: ''}]\n"
      "- job_name: b\n"
      "  oauth2: {client_id: i, client_secret: hunter2, token_url: "
      "'http://t'}\n"
      "- job_name: c\n"
      "  bearer_token: hunter2\n"
      "alerting: {alertmanagers: [{static_configs: [{targets: [am]}]}]}\n"
      "storage: {tsdb: {out_of_order_time_window: 30m}}\n");
  const std::string printed = config.Print();
  CHECK_THAT(printed, !Catch::Contains("hunter2"));
  CHECK_THAT(printed, Catch::Contains("body_size_limit: 1MiB476KiB"));
  // Sizes print in units that the file format does not take.
  const std::string sized = "body_size_limit: 1MiB476KiB";
  std::string again = printed;
  again.replace(again.find(sized), sized.size(), "body_size_limit: 1500KB");
  CHECK(Good(again).Print() == printed);
}

TEST_CASE("retention rules are read, checked and printed") {
  const std::string text =
      "storage:\n  tsdb:\n    retention:\n      time: 15d\n      rules:\n"
      "      - match: ['{job=\"debug\"}', up]\n        time: 2d\n"
      "      - match: ['{__name__=~\"slo:.*\"}']\n        time: 0s\n";
  const Config config = Good(text);
  const auto& rules = config.storage.retention_rules;
  REQUIRE(rules.size() == 2);
  CHECK(rules[0].time_ms == 2 * 86'400'000);
  REQUIRE(rules[0].matcher_sets.size() == 2);
  CHECK(rules[0].matcher_sets[0][0].name() == "job");
  CHECK(rules[1].time_ms == 0);
  CHECK(Good(config.Print()).Print() == config.Print());
  const std::string head = "storage: {tsdb: {retention: {rules: [";
  for (const char* bad :
       {"{match: [up]}", "{time: 1d}", "{match: [], time: 1d}",
        "{match: ['up{'], time: 1d}", "{match: [up], time: 1d, job: x}"}) {
    INFO(bad);
    CHECK_FALSE(Parse(head + bad + "]}}}\n", "p.yml", "/").ok());
  }
}

TEST_CASE("included scrape configs use their own directory and the globals") {
  base::TemporaryDirectory directory;
  const std::string sub = directory.path() + "/sub";
  REQUIRE(base::CreateDirectories(sub).ok());
  REQUIRE(base::WriteFileAtomically(directory.path() + "/p.yml",
                                    "global: {scrape_interval: 7s}\n"
                                    "scrape_config_files: ['sub/*.yml']\n"
                                    "scrape_configs: [{job_name: a}]\n")
              .ok());
  REQUIRE(base::WriteFileAtomically(sub + "/x.yml",
                                    "scrape_configs:\n- job_name: b\n"
                                    "  file_sd_configs: [{files: [t.json]}]\n")
              .ok());
  auto config = Load(directory.path() + "/p.yml");
  INFO(config.status());
  REQUIRE(config.ok());
  const auto all = config->AllScrapeConfigs();
  REQUIRE(all.size() == 2);
  CHECK(all[1].job_name == "b");
  CHECK(all[1].scrape_interval_ms == 7'000);
  CHECK(FilesOf(all[1].discovery) == sub + "/t.json");
  REQUIRE(base::WriteFileAtomically(sub + "/x.yml",
                                    "scrape_configs: [{job_name: a}]\n")
              .ok());
  config = Load(directory.path() + "/p.yml");
  REQUIRE_FALSE(config.ok());
  CHECK_THAT(std::string(config.status().message()),
             Catch::Contains("/sub/x.yml: line 1: scrape_configs[0]: found "
                             "multiple scrape configs with job name \"a\""));
}

TEST_CASE("a missing file is kNotFound") {
  CHECK(absl::IsNotFound(Load("/nonexistent/p.yml").status()));
}

}  // namespace
}  // namespace narthex::config
