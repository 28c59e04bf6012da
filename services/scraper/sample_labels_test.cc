#include "services/scraper/sample_labels.h"

#include <catch2/catch.hpp>

namespace narthex::scraper {
namespace {

const model::Labels kTarget{{"job", "api"}, {"instance", "h:1"}};

model::Labels Stored(const ScrapedLabels& scraped,
                     const config::ScrapeConfig& config) {
  model::Labels labels;
  const auto kept = SampleLabels(scraped, kTarget, config, &labels);
  INFO(kept.status().ToString());
  REQUIRE(kept.ok());
  REQUIRE(*kept);
  return labels;
}

}  // namespace

TEST_CASE("clashing labels are exported unless they are honored") {
  config::ScrapeConfig config;
  const ScrapedLabels scraped{
      {{"__name__", "m"}, {"job", "x"}, {"exported_job", "y"}}, {}};
  CHECK(Stored(scraped, config) ==
        model::Labels{{"__name__", "m"},
                      {"job", "api"},
                      {"instance", "h:1"},
                      {"exported_job", "y"},
                      {"exported_exported_job", "x"}});
  config.honor_labels = true;
  CHECK(Stored(scraped, config) == model::Labels{{"__name__", "m"},
                                                 {"job", "x"},
                                                 {"instance", "h:1"},
                                                 {"exported_job", "y"}});
}

TEST_CASE("an honored empty label removes that of the target") {
  config::ScrapeConfig config;
  config.honor_labels = true;
  const ScrapedLabels scraped{{{"__name__", "m"}, {"job", "x"}}, {"instance"}};
  CHECK(Stored(scraped, config) ==
        model::Labels{{"__name__", "m"}, {"job", "x"}});
}

TEST_CASE("metric relabelling drops, and what is no series is an error") {
  config::ScrapeConfig config;
  relabel::Config drop;
  drop.source_labels = {"__name__"};
  drop.regex = "gone";
  drop.action = "drop";
  config.metric_relabel_configs = {
      relabel::Rule::Create(drop, relabel::NameValidation::kUtf8).value()};
  model::Labels labels;
  CHECK_FALSE(
      SampleLabels({{{"__name__", "gone"}}, {}}, kTarget, config, &labels)
          .value());
  CHECK(SampleLabels({{{"a", "b"}}, {}}, kTarget, config, &labels)
            .status()
            .message() == "missing metric name (__name__ label)");
}

TEST_CASE("label limits refuse the scrape and say by how much") {
  config::ScrapeConfig config;
  model::Labels labels;
  const ScrapedLabels scraped{{{"__name__", "m"}, {"long_name", "value"}}, {}};
  config.limits.labels = 3;
  CHECK(SampleLabels(scraped, kTarget, config, &labels).status().message() ==
        "label_limit exceeded (metric: m, number of labels: 4, limit: 3)");
  config.limits.labels = 0;
  config.limits.label_name_length = 8;
  CHECK(absl::IsResourceExhausted(
      SampleLabels(scraped, kTarget, config, &labels).status()));
  config.limits.label_name_length = 0;
  config.limits.label_value_length = 4;
  CHECK(absl::IsResourceExhausted(
      SampleLabels(scraped, kTarget, config, &labels).status()));
}

}  // namespace narthex::scraper
