// What a scrape costs once its body is in memory: known lines through the
// series cache, beside a pass of memchr over the same lines. Bodies look like
// those of Go services; one is in the cache of the processor, the other is one
// of many targets' that take turns.
#include <benchmark/benchmark.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/exposition/parser.h"
#include "services/scraper/series_cache.h"

namespace narthex::scraper {
namespace {

std::string MakeBody(std::int64_t target, std::int64_t lines) {
  std::string body;
  for (std::int64_t i = 0; i < lines; ++i) {
    if (i % 60 == 0) {
      absl::StrAppend(&body, "# HELP http_requests_", i / 60,
                      "_total Requests served.\n# TYPE http_requests_", i / 60,
                      "_total counter\n");
    }
    absl::StrAppend(
        &body, "http_requests_", i / 60,
        "_total{code=\"200\",container=\"app-0\",method=\"GET\","
        "namespace=\"payments\",node=\"node-07\",path=\"/api/v1/items/",
        i, "\",pod=\"payments-api-5d9c7f8b", target, "\"} ",
        i * 1013 % 100'000'000, i % 3 == 0 ? ".125" : "", "\n");
  }
  return body;
}

struct World {
  World(std::int64_t targets, std::int64_t lines)
      : writer(cluster::Writer::Create({{"127.0.0.1:1"}, ""}, {},
                                       base::Logger::Discard(), registry)
                   .value()) {
    for (std::int64_t i = 0; i < targets; ++i) {
      bodies.push_back(MakeBody(i, lines));
      caches.push_back(std::make_unique<SeriesCache>(
          *writer, std::make_shared<SeriesBudget>(), SeriesCacheOptions()));
      metadata.push_back(std::make_unique<MetadataCache>(pool));
    }
  }

  void Scrape(std::size_t target, ScrapeBatch* batch) {
    batch->samples.clear();
    IngestCounts counts;
    const auto parser =
        exposition::Parser::Create(exposition::Format::kText, bodies[target]);
    benchmark::DoNotOptimize(caches[target]->Ingest(
        *parser, config, labels, ++time_ms, *metadata[target], batch, &counts));
  }

  metrics::Registry registry;
  std::unique_ptr<cluster::Writer> writer;
  MetadataPool pool;
  config::ScrapeConfig config;
  model::Labels labels{{"instance", "a:1"}, {"job", "j"}};
  std::int64_t time_ms = 0;
  std::vector<std::string> bodies;
  std::vector<std::unique_ptr<SeriesCache>> caches;
  std::vector<std::unique_ptr<MetadataCache>> metadata;
};

// Arguments: targets, lines of each.
void BM_KnownLines(benchmark::State& state) {
  World world(state.range(0), state.range(1));
  ScrapeBatch batch;
  for (std::size_t i = 0; i < world.bodies.size(); ++i) world.Scrape(i, &batch);
  std::size_t next = 0;
  std::size_t bytes = 0;
  for (auto _ : state) {
    bytes += world.bodies[next].size();
    world.Scrape(next, &batch);
    next = next + 1 < world.bodies.size() ? next + 1 : 0;
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
  state.SetItemsProcessed(state.range(1) * state.iterations());
}
BENCHMARK(BM_KnownLines)->Name("scrape/known_lines")->Args({1, 1000});
BENCHMARK(BM_KnownLines)->Name("scrape/known_lines")->Args({200, 1000});
BENCHMARK(BM_KnownLines)->Name("scrape/known_lines/small")->Args({1, 10});

void BM_Lines(benchmark::State& state) {
  std::vector<std::string> bodies;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    bodies.push_back(MakeBody(i, state.range(1)));
  }
  std::size_t next = 0;
  std::size_t bytes = 0;
  for (auto _ : state) {
    const std::string& body = bodies[next];
    std::size_t lines = 0;
    const char* at = body.data();
    const char* const end = at + body.size();
    while ((at = static_cast<const char*>(std::memchr(
                at, '\n', static_cast<std::size_t>(end - at)))) != nullptr) {
      ++at;
      ++lines;
    }
    benchmark::DoNotOptimize(lines);
    bytes += body.size();
    next = next + 1 < bodies.size() ? next + 1 : 0;
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
  state.SetItemsProcessed(state.range(1) * state.iterations());
}
BENCHMARK(BM_Lines)->Name("scrape/memchr")->Args({1, 1000});
BENCHMARK(BM_Lines)->Name("scrape/memchr")->Args({200, 1000});

}  // namespace
}  // namespace narthex::scraper
