#include "services/scraper/target.h"

#include <catch2/catch.hpp>

#include "absl/strings/match.h"

namespace narthex::scraper {
namespace {

config::ScrapeConfig Config() {
  config::ScrapeConfig config;
  config.job_name = "api";
  config.scrape_interval_ms = 15'000;
  config.scrape_timeout_ms = 10'000;
  config.params = {{"module", {"http_2xx", "other"}}};
  return config;
}

relabel::Rule Rule(relabel::Config config) {
  return relabel::Rule::Create(std::move(config),
                               relabel::NameValidation::kUtf8)
      .value();
}

}  // namespace

TEST_CASE("a target gets defaults, group labels and a URL") {
  const auto made = MakeTarget(Config(), {{"__address__", "h:1"}, {"a", "t"}},
                               {{"a", "group"}, {"b", "group"}});
  REQUIRE(made.ok());
  const Target& target = std::get<Target>(*made);
  CHECK(target.labels ==
        model::Labels{
            {"a", "t"}, {"b", "group"}, {"instance", "h:1"}, {"job", "api"}});
  CHECK(target.discovered.Get("__scrape_interval__") == "15s");
  CHECK(target.discovered.Get("__param_module") == "http_2xx");
  CHECK(target.url == "http://h:1/metrics?module=http_2xx&module=other");
  CHECK(target.interval_ms == 15'000);
  CHECK(target.timeout_ms == 10'000);
}

TEST_CASE("relabelling moves the address, sets parameters and drops") {
  config::ScrapeConfig config = Config();
  relabel::Config to_param;
  to_param.source_labels = {"__address__"};
  to_param.target_label = "__param_target";
  relabel::Config to_instance;
  to_instance.source_labels = {"__param_target"};
  to_instance.target_label = "instance";
  relabel::Config to_address;
  to_address.target_label = "__address__";
  to_address.replacement = "prober:9115";
  config.relabel_configs = {Rule(to_param), Rule(to_instance),
                            Rule(to_address)};
  const auto made = MakeTarget(config, {{"__address__", "https://x/y?z"}}, {});
  REQUIRE(made.ok());
  const Target& target = std::get<Target>(*made);
  CHECK(target.url ==
        "http://prober:9115/metrics?module=http_2xx&module=other&target="
        "https%3A%2F%2Fx%2Fy%3Fz");
  CHECK(target.labels.Get("instance") == "https://x/y?z");

  config.metrics_path = "/a%20b";
  CHECK(absl::StartsWith(
      std::get<Target>(*MakeTarget(config, {{"__address__", "x"}}, {})).url,
      "http://prober:9115/a%2520b?"));
  config.metrics_path = "a";
  CHECK(absl::StartsWith(
      std::get<Target>(*MakeTarget(config, {{"__address__", "x"}}, {})).url,
      "http://prober:9115/a?"));
  config.metrics_path = "/metrics";

  relabel::Config drop;
  drop.source_labels = {"__address__"};
  drop.regex = ".*";
  drop.action = "drop";
  config.relabel_configs = {Rule(drop)};
  const auto dropped = MakeTarget(config, {{"__address__", "h:1"}}, {});
  CHECK(std::get<Dropped>(*dropped).discovered.Get("job") == "api");
}

TEST_CASE("targets that cannot be scraped say why") {
  const auto reason = [](const model::Labels& labels) {
    return std::string(MakeTarget(Config(), labels, {}).status().message());
  };
  CHECK(reason({{"a", "b"}}).find("no address") != std::string::npos);
  CHECK(reason({{"__address__", "h/x"}}).find("not a valid hostname") !=
        std::string::npos);
  CHECK(reason({{"__address__", "h"}, {"__scrape_interval__", "x"}})
            .find("error parsing scrape interval") != std::string::npos);
  CHECK(reason({{"__address__", "h"}, {"__scrape_timeout__", "20s"}})
            .find("cannot be greater than scrape interval") !=
        std::string::npos);
}

TEST_CASE("a global URL names the machine") {
  CHECK(GlobalUrl("http://localhost:9100/metrics", "web1") ==
        "http://web1:9100/metrics");
  CHECK(GlobalUrl("http://127.0.0.1/metrics", "web1") == "http://web1/metrics");
  CHECK(GlobalUrl("http://[::1]:/metrics", "web1") == "http://web1/metrics");
  CHECK(GlobalUrl("http://localhost.example:1/", "web1") ==
        "http://localhost.example:1/");
}

TEST_CASE("labels switch the kinds of histograms for single targets") {
  config::ScrapeConfig config = Config();
  config.convert_classic_histograms_to_nhcb = true;
  const auto made = MakeTarget(config,
                               {{"__address__", "h:1"},
                                {"__scrape_native_histograms__", "T"},
                                {"__convert_classic_histograms_to_nhcb__", "0"},
                                {"__unix_socket__", "/run/x.sock"}},
                               {});
  REQUIRE(made.ok());
  const Target& target = std::get<Target>(*made);
  CHECK(target.native_histograms);
  CHECK_FALSE(target.classic_beside_native);
  CHECK_FALSE(target.custom_buckets);
  CHECK(target.unix_socket == "/run/x.sock");
  CHECK(target.discovered.Get("__always_scrape_classic_histograms__") ==
        "false");
  const auto bad = MakeTarget(
      config, {{"__address__", "h:1"}, {"__scrape_native_histograms__", "yes"}},
      {});
  CHECK(absl::IsInvalidArgument(bad.status()));
}

}  // namespace narthex::scraper
