#include "services/scraper/metadata_cache.h"

#include <catch2/catch.hpp>

namespace narthex::scraper {
namespace {

void Scrape(MetadataCache& cache, const std::vector<std::string>& metrics,
            bool good = true) {
  cache.BeginScrape();
  for (const std::string& metric : metrics) {
    cache.Help(metric, "Help of " + metric);
    cache.Type(metric, model::MetricType::kGauge);
  }
  cache.EndScrape(good);
}

std::vector<std::string> Names(const MetadataCache& cache) {
  std::vector<std::string> names;
  for (const auto& metadata : cache.Get()) names.push_back(metadata->metric);
  return names;
}

}  // namespace

TEST_CASE("metadata follows the last good scrape") {
  MetadataPool pool;
  MetadataCache cache(pool);
  Scrape(cache, {"a", "b", "c"});
  CHECK(Names(cache) == std::vector<std::string>{"a", "b", "c"});
  CHECK(cache.Get()[1]->help == "Help of b");
  CHECK(cache.Get()[1]->type == model::MetricType::kGauge);
  Scrape(cache, {"a", "x", "c"});
  CHECK(Names(cache) == std::vector<std::string>{"a", "x", "c"});
  Scrape(cache, {"a"});
  CHECK(Names(cache) == std::vector<std::string>{"a"});
  Scrape(cache, {"z", "y"}, /*good=*/false);
  CHECK(Names(cache) == std::vector<std::string>{"a"});
}

TEST_CASE("metadata is counted as long as it is held") {
  metrics::Registry registry;
  metrics::Gauge& entries = registry.NewGauge("entries", "");
  metrics::Gauge& bytes = registry.NewGauge("bytes", "");
  MetadataPool pool;
  {
    MetadataCache cache(pool, MetadataSize{entries, bytes});
    cache.BeginScrape();
    cache.Help("a", "help");
    cache.Type("a", model::MetricType::kCounter);
    cache.Help("b", "x");
    cache.EndScrape(true);
    CHECK(entries.value() == 2);
    CHECK(bytes.value() == 4 + 7 + 1 + 7);  // "unknown" is one too.
    cache.BeginScrape();
    cache.Help("a", "help");
    cache.Type("a", model::MetricType::kCounter);
    cache.EndScrape(true);
    CHECK(entries.value() == 1);
    CHECK(bytes.value() == 4 + 7);
  }
  CHECK(entries.value() == 0);
  CHECK(bytes.value() == 0);
}

TEST_CASE("unchanged and equal metadata is held once") {
  MetadataPool pool;
  MetadataCache one(pool);
  MetadataCache two(pool);
  Scrape(one, {"a", "b"});
  const auto before = one.Get();
  Scrape(one, {"a", "b"});
  Scrape(two, {"b"});
  CHECK(one.Get()[0] == before[0]);
  CHECK(two.Get()[0] == before[1]);
}

}  // namespace narthex::scraper
