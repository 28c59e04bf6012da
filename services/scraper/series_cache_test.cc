#include "services/scraper/series_cache.h"

#include <catch2/catch.hpp>
#include <map>

#include "services/scraper/test_storage.h"

namespace narthex::scraper {
namespace {

// One target with its cache.
struct Scraped {
  explicit Scraped(SeriesCacheOptions options = {})
      : cache(storage.writer(), pool_series, options) {}

  TestStorage storage;
  MetadataPool pool;
  MetadataCache metadata{pool};
  std::shared_ptr<SeriesBudget> pool_series = std::make_shared<SeriesBudget>();
  SeriesCache cache;
  config::ScrapeConfig config;
  IngestCounts counts;
  ScrapeBatch batch;
  std::int64_t now_ms = 0;

  absl::Status Scrape(const std::string& body, bool open_metrics = false) {
    now_ms += 1000;
    exposition::ParserOptions options;
    options.start_timestamps = open_metrics;
    const auto parser = exposition::Parser::Create(
        open_metrics ? exposition::Format::kOpenMetrics
                     : exposition::Format::kText,
        body, options);
    batch = {};
    counts = {};
    const absl::Status status =
        cache.Ingest(*parser, config, model::Labels{{"job", "j"}}, now_ms,
                     metadata, &batch, &counts);
    if (!status.ok()) {
      batch.samples.clear();
      cache.MarkAllStale(now_ms, &batch);
    }
    storage.writer().Push(batch.samples, [](const cluster::PushOutcome&) {});
    storage.writer().Release(batch.released);
    return status;
  }

  // "1000:5 2000:stale"
  std::string Samples(const std::string& series) {
    const model::SampleColumns columns = storage.Read(series);
    std::string text;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (!text.empty()) text += ' ';
      text += std::to_string(columns.timestamps_ms[i]) + ":" +
              (model::IsStaleNan(columns.values[i])
                   ? "stale"
                   : std::to_string(static_cast<int>(columns.values[i])));
    }
    return text;
  }
};

}  // namespace

TEST_CASE("known lines go on, in any order, and new ones are counted") {
  Scraped s;
  REQUIRE(s.Scrape("a 1\nb{x=\"1\"} 2\nc 3\n").ok());
  CHECK(s.counts.added == 3);
  REQUIRE(s.Scrape("c 4\na 5\nb{x=\"1\"} 6\n").ok());
  CHECK(s.counts.added == 0);
  CHECK(s.counts.scraped == 3);
  CHECK(s.counts.kept == 3);
  CHECK(s.Samples("a{job=\"j\"}") == "1000:1 2000:5");
  CHECK(s.Samples("b{job=\"j\", x=\"1\"}") == "1000:2 2000:6");
  CHECK(s.Samples("c{job=\"j\"}") == "1000:3 2000:4");
}

TEST_CASE("a series that is gone ends with a marker, once") {
  Scraped s;
  REQUIRE(s.Scrape("a 1\nb 2\n").ok());
  REQUIRE(s.Scrape("a 1\n").ok());
  REQUIRE(s.Scrape("a 1\n").ok());
  REQUIRE(s.Scrape("a 1\nb 7\n").ok());
  CHECK(s.Samples("b{job=\"j\"}") == "1000:2 2000:stale 4000:7");
}

TEST_CASE("a failed scrape marks all series stale and keeps the cache") {
  Scraped s;
  REQUIRE(s.Scrape("a 1\nb 2\n").ok());
  CHECK_FALSE(s.Scrape("a 2\nnew 1\nb {\n").ok());
  CHECK_FALSE(s.Scrape("!\n").ok());
  REQUIRE(s.Scrape("a 4\nb 5\n").ok());
  CHECK(s.counts.added == 0);
  CHECK(s.Samples("a{job=\"j\"}") == "1000:1 2000:stale 4000:4");
  CHECK(s.Samples("b{job=\"j\"}") == "1000:2 2000:stale 4000:5");
  CHECK(s.Samples("new{job=\"j\"}").empty());
}

TEST_CASE("explicit timestamps are kept and leave no markers") {
  Scraped s;
  REQUIRE(s.Scrape("a 1 500\na 2 600\n").ok());
  REQUIRE(s.Scrape("b 1\n").ok());
  CHECK(s.Samples("a{job=\"j\"}") == "500:1 600:2");
  s.config.honor_timestamps = false;
  REQUIRE(s.Scrape("a 3 700\n").ok());
  CHECK(s.Samples("a{job=\"j\"}") == "500:1 600:2 3000:3");
}

TEST_CASE("tracked timestamps leave markers") {
  Scraped s;
  s.config.track_timestamps_staleness = true;
  REQUIRE(s.Scrape("a 1 500\n").ok());
  REQUIRE(s.Scrape("b 1\n").ok());
  CHECK(s.Samples("a{job=\"j\"}") == "500:1 2000:stale");
}

TEST_CASE("a series whose type changes goes on as another") {
  Scraped s({.family_labels = true});
  REQUIRE(s.Scrape("# TYPE a counter\na 1\nb 1\n").ok());
  REQUIRE(s.Scrape("# TYPE a counter\na 2\nb 2\n").ok());
  CHECK(s.counts.added == 0);
  REQUIRE(s.Scrape("# TYPE a gauge\na 3\nb 3\n").ok());
  CHECK(s.Samples("a{__type__=\"counter\", job=\"j\"}") ==
        "1000:1 2000:2 3000:stale");
  CHECK(s.Samples("a{__type__=\"gauge\", job=\"j\"}") == "3000:3");
  CHECK(s.Samples("b{job=\"j\"}") == "1000:1 2000:2 3000:3");
}

TEST_CASE("of a repeated series the first sample counts") {
  Scraped s;
  REQUIRE(s.Scrape("a 1\na 2\nb 3\n").ok());
  CHECK(s.counts.duplicates == 1);
  CHECK(s.counts.scraped == 3);
  CHECK(s.counts.kept == 3);
  CHECK(s.Samples("a{job=\"j\"}") == "1000:1");
  CHECK(s.Samples("b{job=\"j\"}") == "1000:3");
}

TEST_CASE("a series that is written otherwise goes on without a marker") {
  Scraped s;
  REQUIRE(s.Scrape("a{x=\"1\",y=\"2\"} 1\n").ok());
  REQUIRE(s.Scrape("a{y=\"2\",x=\"1\"} 2\n").ok());
  CHECK(s.Samples("a{job=\"j\", x=\"1\", y=\"2\"}") == "1000:1 2000:2");
}

TEST_CASE("new relabelling ends the series it changes") {
  Scraped s;
  REQUIRE(s.Scrape("a 1\nb 1\n").ok());
  relabel::Config drop;
  drop.source_labels = {"__name__"};
  drop.regex = "b";
  drop.action = "drop";
  s.config.metric_relabel_configs = {
      relabel::Rule::Create(drop, relabel::NameValidation::kUtf8).value()};
  s.cache.Relearn();
  REQUIRE(s.Scrape("a 2\nb 2\nb 3\n").ok());
  CHECK(s.counts.scraped == 3);
  CHECK(s.counts.kept == 1);
  CHECK(s.counts.duplicates == 0);
  CHECK(s.Samples("a{job=\"j\"}") == "1000:1 2000:2");
  CHECK(s.Samples("b{job=\"j\"}") == "1000:1 2000:stale");
}

TEST_CASE("the sample limit fails the scrape, and all samples are counted") {
  Scraped s;
  s.config.limits.samples = 2;
  REQUIRE(s.Scrape("a 1\nb 1\n").ok());
  const absl::Status status = s.Scrape("a 2\na 2\nb 2\nc 2\nd 2\n");
  CHECK(status.message() == "sample limit exceeded");
  CHECK(s.counts.scraped == 5);
  CHECK(s.counts.kept == 5);
  CHECK(s.counts.added == 0);
  CHECK(s.Samples("a{job=\"j\"}") == "1000:1 2000:stale");
}

TEST_CASE("a malformed line is no sample, a refused one is") {
  const struct {
    const char* body;
    std::size_t scraped;
    std::size_t kept;
  } kRows[] = {
      {"a 1\nb{ 2\n", 1, 1},
      {"a 1\nb{x=\"\xff\"} 2\n", 1, 1},
      {"a 1\nb x\n", 1, 1},
      {"{x=\"1\"} 1\n", 0, 0},
      {"\xef\xbb\xbf"
       "a 1\n",
       0, 0},
      {"a 1\nb{x=\"1\"} 2\n", 2, 1},
  };
  for (const auto& row : kRows) {
    INFO(row.body);
    Scraped s;
    s.config.limits.labels = 2;
    CHECK_FALSE(s.Scrape(row.body).ok());
    CHECK(s.counts.scraped == row.scraped);
    CHECK(s.counts.kept == row.kept);
  }
}

TEST_CASE("series that failed scrapes met are not new when they come again") {
  Scraped s;
  CHECK_FALSE(s.Scrape("a 1\nb 1\nc {\n").ok());
  CHECK(s.counts.added == 2);
  CHECK_FALSE(s.Scrape("a 1\nb 1\nc {\n").ok());
  CHECK(s.counts.added == 0);
  REQUIRE(s.Scrape("b 3\nc 3\n").ok());
  CHECK(s.counts.added == 1);
  CHECK(s.Samples("a{job=\"j\"}").empty());
  CHECK(s.Samples("b{job=\"j\"}") == "3000:3");
  REQUIRE(s.Scrape("a 4\nb 4\n").ok());
  CHECK(s.counts.added == 1);
  CHECK(s.Samples("c{job=\"j\"}") == "3000:3 4000:stale");
}

TEST_CASE("failed scrapes do not fill the cache without end") {
  Scraped s;
  REQUIRE(s.Scrape("a 1\n").ok());
  bool flushed = false;
  for (int i = 0; i < 11; ++i) {
    std::string body = "a 1\n";
    for (int j = 0; j < 100; ++j) {
      body += "m" + std::to_string(i * 100 + j) + " 1\n";
    }
    CHECK_FALSE(s.Scrape(body + "!\n").ok());
    CHECK(s.cache.size() <= 1002);
    flushed = flushed || s.counts.flushed;
  }
  CHECK(flushed);
  REQUIRE(s.Scrape("a 2\n").ok());
  CHECK(s.cache.size() == 1);
  CHECK(s.Samples("a{job=\"j\"}") == "1000:1 2000:stale 13000:2");
}

TEST_CASE("random churn stores what a plain comparison expects") {
  Scraped s;
  std::uint32_t random = 12345;
  const auto next = [&random](std::uint32_t below) {
    random = random * 1664525 + 1013904223;
    return (random >> 16) % below;
  };
  std::map<std::string, std::string> expected;
  std::map<std::string, bool> alive;
  for (int scrape = 1; scrape <= 60; ++scrape) {
    std::string body;
    std::map<std::string, bool> now;
    const std::uint32_t start = next(40);
    for (std::uint32_t i = 0; i < 40; ++i) {
      if (next(5) == 0) continue;
      const std::string name = "m" + std::to_string((start + i) % 40);
      body += name + " " + std::to_string(scrape) + "\n";
      now[name + "{job=\"j\"}"] = true;
    }
    const std::string at = std::to_string(scrape * 1000) + ":";
    for (const auto& [name, unused] : now) {
      expected[name] += at + std::to_string(scrape) + " ";
    }
    for (const auto& [name, unused] : alive) {
      if (!now.contains(name)) expected[name] += at + "stale ";
    }
    alive = now;
    REQUIRE(s.Scrape(body).ok());
  }
  for (auto& [name, samples] : expected) {
    INFO(name);
    CHECK(s.Samples(name) + " " == samples);
  }
}

TEST_CASE("beyond the soft limit known series go on and new ones are refused") {
  Scraped s;
  s.config.limits.series = 2;
  REQUIRE(s.Scrape("a 1\nb 1\n").ok());
  REQUIRE(s.Scrape("c 2\na 2\nd 2\nb 2\n").ok());
  CHECK(s.counts.over_series_limit == 2);
  CHECK(s.counts.added == 0);
  // There is room as soon as a series has gone.
  REQUIRE(s.Scrape("c 3\na 3\nd 3\n").ok());
  CHECK(s.counts.over_series_limit == 1);
  CHECK(s.counts.added == 1);
  REQUIRE(s.Scrape("c 4\na 4\nd 4\n").ok());
  CHECK(s.counts.over_series_limit == 1);
  CHECK(s.counts.added == 0);
  s.storage.Settle();
  CHECK(s.Samples("a{job=\"j\"}") == "1000:1 2000:2 3000:3 4000:4");
  CHECK(s.Samples("b{job=\"j\"}") == "1000:1 2000:2 3000:stale");
  CHECK(s.Samples("c{job=\"j\"}") == "3000:3 4000:4");
  CHECK(s.Samples("d{job=\"j\"}").empty());
}

TEST_CASE("a target at the soft limit may give its series other names") {
  Scraped s;
  s.config.limits.series = 3;
  s.config.limits.pool_series = 3;
  REQUIRE(s.Scrape("a 1\nb 1\nc 1\n").ok());
  REQUIRE(s.Scrape("d 2\nb 2\ne 2\nf 2\n").ok());
  CHECK(s.counts.over_series_limit == 1);
  CHECK(s.counts.added == 2);
  CHECK(s.batch.exposed == 3);
  CHECK(s.Samples("a{job=\"j\"}") == "1000:1 2000:stale");
  CHECK(s.Samples("b{job=\"j\"}") == "1000:1 2000:2");
  CHECK(s.Samples("d{job=\"j\"}") == "2000:2");
  CHECK(s.Samples("e{job=\"j\"}") == "2000:2");
  CHECK(s.Samples("f{job=\"j\"}").empty());
  CHECK(s.pool_series->used() == 3);
}

TEST_CASE("new series at the soft limit leave the sample limit to known ones") {
  Scraped s;
  s.config.limits.series = 2;
  s.config.limits.samples = 3;
  REQUIRE(s.Scrape("a 1\nb 1\n").ok());
  REQUIRE(s.Scrape("c 2\nd 2\na 2\nb 2\n").ok());
  CHECK(s.counts.over_series_limit == 2);
  CHECK(s.Samples("a{job=\"j\"}") == "1000:1 2000:2");
  CHECK(s.Samples("b{job=\"j\"}") == "1000:1 2000:2");
  // What is within the soft limit counts for the other as ever.
  s.config.limits.series = 10;
  CHECK_FALSE(s.Scrape("c 3\nd 3\na 3\nb 3\n").ok());
}

TEST_CASE("series that are looked at anew have their place within the limit") {
  Scraped s;
  s.config.limits.series = 2;
  REQUIRE(s.Scrape("a 1\nb 1\n").ok());
  s.cache.Relearn();
  REQUIRE(s.Scrape("a 2\nb 2\nc 2\n").ok());
  CHECK(s.counts.over_series_limit == 1);
  CHECK(s.Samples("a{job=\"j\"}") == "1000:1 2000:2");
  CHECK(s.Samples("b{job=\"j\"}") == "1000:1 2000:2");
}

TEST_CASE("targets of a pool share its soft limit of series") {
  Scraped s;
  s.config.limits.pool_series = 3;
  // Of another target.
  REQUIRE(s.pool_series->Take(3));
  REQUIRE(s.Scrape("a 1\nb 1\nc 1\n").ok());
  CHECK(s.counts.over_series_limit == 1);
  CHECK(s.pool_series->used() == 3);
  s.pool_series->Return(1);
  s.cache.Relearn();
  REQUIRE(s.Scrape("a 2\nb 2\nc 2\nd 2\n").ok());
  CHECK(s.counts.over_series_limit == 1);
  CHECK(s.pool_series->used() == 3);
  REQUIRE_FALSE(s.Scrape("a 3\nb 3\n!\n").ok());
  CHECK(s.pool_series->used() == 3);
  REQUIRE(s.Scrape("d 4\n").ok());
  CHECK(s.counts.over_series_limit == 0);
  CHECK(s.pool_series->used() == 1);
  ScrapeBatch batch;
  s.cache.Forget(&batch);
  CHECK(s.pool_series->used() == 0);
  CHECK(batch.released.size() == 1);
  CHECK(s.Samples("c{job=\"j\"}") == "2000:2 3000:stale");
}

TEST_CASE("a counter begins with a zero, once for each start") {
  Scraped s({.start_zeros = true});
  const auto scrape = [&](const std::string& seconds, const char* end = "") {
    return s.Scrape("# TYPE a counter\na_total 5\na_created " + seconds +
                        "\n# TYPE b gauge\nb 1\n" + end + "# EOF\n",
                    /*open_metrics=*/true);
  };
  const auto zeros = [&] {
    std::string times;
    for (const auto& zero : s.batch.zeros.samples) {
      CHECK(zero.value == 0);
      times += std::to_string(zero.timestamp_ms) + " ";
    }
    return times;
  };
  REQUIRE(scrape("0.5").ok());
  CHECK(zeros() == "500 ");
  CHECK(s.counts.scraped == 2);
  REQUIRE(scrape("0.5").ok());
  CHECK(zeros().empty());
  REQUIRE(scrape("2.5").ok());
  CHECK(zeros() == "2500 ");
  // One that begins in the future has none, and a failed scrape sends nothing.
  REQUIRE(scrape("9").ok());
  CHECK(zeros().empty());
  REQUIRE_FALSE(scrape("4.5", "!\n").ok());
  REQUIRE(scrape("4.5").ok());
  CHECK(zeros() == "4500 ");
}

TEST_CASE("start times go with the samples that have one") {
  Scraped s({.start_times = true});
  REQUIRE(s.Scrape("# TYPE a counter\na_total 5\na_created 0.5\n"
                   "# TYPE b gauge\nb 1\n# EOF\n",
                   /*open_metrics=*/true)
              .ok());
  REQUIRE(s.batch.starts.size() == 1);
  CHECK(s.batch.starts[0].ref == s.batch.samples[0].ref);
  CHECK(s.batch.starts[0].timestamp_ms == 1000);
  CHECK(s.batch.starts[0].start_ms == 500);
  CHECK(s.batch.zeros.empty());
}

TEST_CASE("a line is a sample even when a label is given twice") {
  Scraped s;
  CHECK_FALSE(s.Scrape("a 1\nb{x=\"1\",x=\"2\"} 1\nc 1\n").ok());
  CHECK(s.counts.scraped == 2);
  CHECK_FALSE(s.Scrape("a 1\nb{x=1} 1\nc 1\n").ok());
  CHECK(s.counts.scraped == 1);
}

TEST_CASE("samples of the far future are left out and counted") {
  Scraped s;
  REQUIRE(s.Scrape("a 1 600000\nb 1 601000\nc 1 601001\n").ok());
  CHECK(s.counts.out_of_bounds == 1);
  CHECK(s.counts.kept == 3);
}

}  // namespace narthex::scraper
